"""What an episode has to keep to be called good: config/quality.yaml."""

from dataclasses import dataclass, fields
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.robot.share import share_folder
from aloha_stack.robot.yaml_section import RobotConfigError, Section, read_yaml

HIGHEST = {
    "joint_hz": 2000.0,
    "camera_hz": 500.0,
    "rate_share": 1.0,
    "late_share": 1.0,
    "repeated_share": 1.0,
    "lost_share": 1.0,
    "moving_rad_s": 10.0,
}
"""Of values that have a highest. The others may be as high as one likes, which is how to switch a
check off."""


@dataclass(frozen=True)
class Thresholds:
    """The keys of config/quality.yaml, which says what each means."""

    joint_hz: float
    camera_hz: float
    rate_share: float
    late_share: float
    joint_gap_s: float
    camera_gap_s: float
    ahead_ms: float
    delay_ms: float
    skew_median_ms: float
    skew_p99_ms: float
    moving_rad_s: float
    repeated_share: float
    frozen_s: float
    clamped_share: float
    rejected_share: float
    e_stopped_s: float
    held_s: float
    lost_share: float
    shortest_s: float


def load_thresholds(path: Path | None = None) -> Thresholds:
    """Reads config/quality.yaml, or another file. Raises EpisodeError by file and key."""
    path = path or share_folder() / "config/quality.yaml"
    names = [field.name for field in fields(Thresholds)]
    try:
        section = Section(read_yaml(path), path)
        section.check_keys(names)
        values = {
            name: section.number(name, 0.0, HIGHEST.get(name, float("inf"))) for name in names
        }
        for name in ("joint_hz", "camera_hz"):
            if values[name] == 0.0:
                section.complain(name, "0 is no rate; expected Hz above 0")
    except RobotConfigError as error:
        raise EpisodeError(str(error)) from error
    return Thresholds(**values)

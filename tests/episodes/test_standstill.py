"""An episode in which the robot could not move is no good one, and says for how long."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aloha_interfaces.msg import ArmStatus, SafetyState
from rclpy.serialization import serialize_message

from aloha_stack.control.arm_modes import Mode
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.metadata import pause_notes
from aloha_stack.episodes.quality import _standstill
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.standstill import E_STOPPED, MODES, Standstill, standstills
from aloha_stack.episodes.summary import EpisodeSummary, summarise
from aloha_stack.episodes.thresholds import load_thresholds
from aloha_stack.robot.joints import FOLLOWERS
from episodes.altered_episodes import altered, with_note
from episodes.sample_episodes import START_NS, stamped, write_episode

SAFETY = "/safety/state"
KINDS = {
    SAFETY: "aloha_interfaces/msg/SafetyState",
    **{f"/{arm}/status": "aloha_interfaces/msg/ArmStatus" for arm in FOLLOWERS},
}
STEP_NS = 50_000_000

Told = dict[str, list[tuple[int, bytes]]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s, the last stamp at 1.99 s."""
    return write_episode(tmp_path_factory.mktemp("whole"), seconds=2.0)


def told(make: Callable[[float], object]) -> list[tuple[int, bytes]]:
    """Messages at 20 Hz, each as made for its time in s."""
    found = []
    for number in range(40):
        stamp = START_NS + number * STEP_NS
        message = stamped(make(number * STEP_NS * 1e-9), stamp)
        found.append((stamp, bytes(serialize_message(message))))
    return found


def safety(begin: float, end: float, cause: str = "the service /e_stop was called") -> Told:
    def at(now: float) -> SafetyState:
        on = begin <= now < end
        return SafetyState(e_stopped=on, cause=cause if on else "")

    return {SAFETY: told(at)}


def arm(name: str, mode: int, begin: float, end: float) -> Told:
    def at(now: float) -> ArmStatus:
        on = begin <= now < end
        reason = "no command for 0.1 s" if on else ""
        return ArmStatus(arm=name, mode=mode if on else ArmStatus.FOLLOWING, reason=reason)

    return {f"/{name}/status": told(at)}


def judged(whole: Path, tmp_path: Path, extra: Told, **options: object) -> EpisodeSummary:
    return summarise(altered(whole, tmp_path, types=KINDS, extra=extra, **options))


@pytest.mark.parametrize(
    ("extra", "reasons"),
    [
        (
            safety(0.5, 1.0),
            ["the robot was e-stopped for 0.50 s, from 0.5 s on"],
        ),
        (
            {**safety(0.0, 9.0), **arm("follower_left", ArmStatus.E_STOPPED, 0.0, 9.0)},
            ["the robot was e-stopped for 1.99 s, from 0.0 s on"],
        ),
        (
            arm("follower_left", ArmStatus.E_STOPPED, 1.5, 9.0),
            ["follower_left was e-stopped for 0.49 s, from 1.5 s on"],
        ),
        (
            {
                **arm("follower_left", ArmStatus.HOLDING, 0.2, 0.9),
                **arm("follower_right", ArmStatus.FAULT, 1.0, 1.9),
            },
            [
                "follower_left was holding for 0.70 s, from 0.2 s on (at most 0.5 s)",
                "follower_right was in fault for 0.90 s, from 1.0 s on (at most 0.5 s)",
            ],
        ),
        (arm("follower_right", ArmStatus.HOLDING, 1.0, 1.4), []),
        (arm("follower_right", ArmStatus.RAMPING, 0.0, 9.0), []),
        (safety(5.0, 9.0), []),
        (safety(0.0, 9.0, cause="why? " * 1000), None),
    ],
)
def test_time_without_motion_is_told_in_seconds(
    whole: Path, tmp_path: Path, extra: Told, reasons: list[str] | None
) -> None:
    summary = judged(whole, tmp_path, extra)
    if reasons is None:  # many words are no damage
        reasons = ["the robot was e-stopped for 1.99 s, from 0.0 s on"]
    assert list(summary.reasons) == reasons
    assert summary.verdict == ("flawed" if reasons else "good")


def test_a_stop_that_is_over_at_once_is_told_too() -> None:
    still = Standstill("the robot", E_STOPPED, 0.0004, 0.5)
    told = "the robot was e-stopped for a moment, from 0.5 s on"
    assert list(_standstill(still, load_thresholds())) == [told]


def test_the_part_of_a_stop_that_lies_in_a_pause_does_not_count(
    whole: Path, tmp_path: Path
) -> None:
    begin, end = START_NS + 600_000_000, START_NS + 1_100_000_000
    info = with_note(Episode(whole).info, **pause_notes([(begin, end)]))
    summary = judged(whole, tmp_path, safety(0.5, 1.2), info=info)
    assert [still.seconds for still in summary.standstills] == [pytest.approx(0.2)]


def test_it_may_be_allowed(whole: Path, tmp_path: Path) -> None:
    path = altered(whole, tmp_path, types=KINDS, extra=safety(0.5, 1.0))
    assert summarise(path, replace(load_thresholds(), e_stopped_s=0.6)).verdict == "good"


def test_a_status_that_is_none_is_named(whole: Path, tmp_path: Path) -> None:
    path = altered(whole, tmp_path, types=KINDS, extra={SAFETY: [(START_NS, b"\0\1\0\0" * 4)]})
    with pytest.raises(EpisodeError, match=r"a message of /safety/state does not fit its type"):
        standstills(Episode(path), (0, START_NS))


def test_modes_are_those_of_the_bridges() -> None:
    words = {Mode.E_STOPPED: "e-stopped", Mode.FAULT: "in fault", Mode.BACK_DRIVEN: "back-driven"}
    assert tuple(words.get(mode, mode.name.lower()) for mode in Mode) == MODES

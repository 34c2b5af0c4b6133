"""A recorded episode as steps for export: one for each segment without a pause or a gap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aloha_stack.episodes.alignment import AlignedEpisode, AlignmentSettings, align
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import FrameIndex
from aloha_stack.episodes.pictures import whole_jpeg
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.steps import EpisodeSteps, Pictures, Resized, chosen_cameras


@dataclass(frozen=True)
class StepFrames:
    """A camera's pictures by step."""

    index: FrameIndex
    frame: np.ndarray  # (T,) int64, into the index

    @property
    def width(self) -> int:
        return self.index.width

    @property
    def height(self) -> int:
        return self.index.height

    @property
    def rate_hz(self) -> float | None:
        between = np.diff(self.index.stamps_ns)
        return 1e9 / max(float(np.median(between)), 1.0) if len(between) else None

    def rgb(self, step: int) -> np.ndarray:
        return self.index.rgb(int(self.frame[step]))

    def jpeg(self, step: int) -> bytes | None:
        if self.index.encoding != "jpeg":
            return None
        number = int(self.frame[step])
        data = self.index.picture(number)
        if not whole_jpeg(data):
            raise EpisodeError(
                f"{self.index.path}: picture {number} of {self.index.topic} is no whole JPEG"
            )
        return data


def recorded_steps(
    path: Path,
    settings: AlignmentSettings,
    cameras: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    task: str = "",
) -> Iterator[EpisodeSteps]:
    """The segments of the episode at `path`; `size` is (height, width) to bring pictures to.

    Raises EpisodeError.
    """
    aligned = align(Episode(path), settings)
    names = chosen_cameras(tuple(aligned.cameras), cameras, str(path))
    fps = round(settings.step_hz)
    for segment in np.unique(aligned.segment):
        rows = np.flatnonzero(aligned.segment == segment)
        yield _part(aligned, rows, int(segment), names, size, fps, task or aligned.task)


def _part(
    aligned: AlignedEpisode,
    rows: np.ndarray,
    segment: int,
    names: Sequence[str],
    size: tuple[int, int] | None,
    fps: int,
    task: str,
) -> EpisodeSteps:
    cameras: dict[str, Pictures] = {}
    for name in names:
        frames = StepFrames(aligned.frames[name], aligned.cameras[name].frame[rows])
        cameras[name] = Resized(frames, *size) if size else frames
    several = int(aligned.segment[-1]) > 0
    return EpisodeSteps(
        source=f"{aligned.path}{f' (segment {segment})' if several else ''}",
        remarks=aligned.remarks,
        method=aligned.settings.method or "",
        task=task,
        robot=aligned.robot,
        fps=fps,
        time_ns=aligned.time_ns[rows],
        state=aligned.state[rows],
        action=aligned.action[rows],
        velocity=_given(aligned.velocity, rows),
        effort=_given(aligned.effort, rows),
        commander=aligned.commander[rows],
        cameras=cameras,
        capture_ns={name: aligned.cameras[name].stamp_ns[rows] for name in names},
        joint_age_ns={
            topic: age[rows] for topic, age in aligned.joint_age_ns.items() if "leader" not in topic
        },
    )


def _given(values: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """The rows; None if the driver never sent any of these numbers in the whole episode."""
    return None if np.isnan(values).all() else values[rows]

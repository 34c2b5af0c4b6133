"""Whether a camera showed what was there: pictures that repeat while the arms move."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aloha_stack.episodes.frame_index import FrameIndex
from aloha_stack.episodes.joint_columns import JointStream
from aloha_stack.robot.joints import FOLLOWERS, JOINTS, SIDES, side_of


@dataclass(frozen=True)
class CameraFigures:
    """One camera. Repetitions count only while something in view was moving; times are from the
    camera's first picture."""

    pictures: int
    broken: int  # that are not whole
    broken_at_s: float
    moving: int  # pictures that were taken in motion
    repeated_share: float  # of those, how many are byte for byte the one before
    frozen_s: float  # longest run of one and the same picture, time in motion
    frozen_at_s: float  # when that run begins


def camera_figures(
    index: FrameIndex, joints: Mapping[str, JointStream], moving_rad_s: float
) -> CameraFigures:
    """Of one camera that pictures came of; they are compared byte for byte, and not decoded."""
    stamps, repeated = index.stamps_ns, index.repeated()
    moving = np.zeros(len(index), bool)
    if len(index) > 1:
        speeds = [fastest(joints[t], stamps) for t in in_view(index.camera) if t in joints]
        if speeds:
            moving[1:] = np.max(speeds, axis=0) > moving_rad_s
    still = repeated & moving
    # The run that each picture belongs to begins with a picture that differs from its predecessor.
    run = np.cumsum(~repeated)
    interval_s = np.diff(stamps, prepend=stamps[:1]) * 1e-9
    held_s = np.bincount(run, weights=np.where(still, interval_s, 0.0), minlength=1)
    longest = int(np.argmax(held_s))
    begin = int(np.argmax(run == longest))
    broken = index.broken()
    return CameraFigures(
        pictures=len(index),
        broken=int(broken.sum()),
        broken_at_s=_since_first(index, int(np.argmax(broken))),
        moving=int(moving.sum()),
        repeated_share=float(still.sum() / moving.sum()) if moving.any() else 0.0,
        frozen_s=float(held_s[longest]),
        frozen_at_s=_since_first(index, begin),
    )


def _since_first(index: FrameIndex, frame: int) -> float:
    return float(index.stamps_ns[frame] - index.stamps_ns[0]) * 1e-9


def in_view(camera: str) -> list[str]:
    """Joint states of the followers that a camera surely sees: a wrist camera its own arm's."""
    sides = [side for side in SIDES if side in camera.split("_")] or SIDES
    return [f"/{arm}/joint_states" for arm in FOLLOWERS if side_of(arm) in sides]


def fastest(stream: JointStream, times_ns: np.ndarray) -> np.ndarray:
    """Mean speed (n - 1,) of the joint that moved most between each two of `times_ns`, rad/s.

    From positions, for not every driver gives velocities. Zeros for a stream without joints.
    """
    columns = [stream.names.index(joint) for joint in JOINTS if joint in stream.names]
    if not columns or len(stream.stamps_ns) < 2:
        return np.zeros(len(times_ns) - 1)
    order = np.argsort(stream.stamps_ns, kind="stable")
    own, positions = stream.stamps_ns[order], np.nan_to_num(stream.position[order][:, columns])
    furthest = np.zeros(len(times_ns) - 1)
    for column in positions.T:
        at = np.interp(times_ns, own, column)
        np.maximum(furthest, np.abs(np.diff(at)), out=furthest)
    return furthest / np.maximum(np.diff(times_ns) * 1e-9, 1e-9)

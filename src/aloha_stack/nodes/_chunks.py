"""Chunks as messages: fourteen joints of both followers, rad, rows at a steady rate."""

from array import array

import numpy as np
from builtin_interfaces.msg import Duration
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from aloha_stack.control.chunks import MAX_ROWS, ChunkBroken
from aloha_stack.nodes._conversions import set_stamp, stamp_ns
from aloha_stack.robot.joints import JOINTS, SIDES

NAMES = [f"{side}_{joint}" for side in SIDES for joint in JOINTS]
"""Of the fourteen joints, in the order of every (14,) array."""

ALONE = "alone"
"""In a chunk's frame_id: it takes over from all before it (control/chunks.py)."""

EVEN = 0.01
"""The share of a row's time by which rows may be off."""


def chunk_message(
    rows: np.ndarray, dt_ns: int, time_ns: int, alone: bool = False
) -> JointTrajectory:
    """Rows (n, 14) rad, `dt_ns` apart, made from an observation at `time_ns`."""
    message = JointTrajectory(joint_names=NAMES)
    message.header.frame_id = ALONE if alone else ""
    set_stamp(message.header.stamp, time_ns)
    for number, row in enumerate(np.asarray(rows, np.float64).tolist()):
        after = Duration()
        set_stamp(after, number * dt_ns)
        point = JointTrajectoryPoint(positions=array("d", row), time_from_start=after)
        message.points.append(point)
    return message


def read_chunk(message: JointTrajectory, dt_ns: int) -> tuple[int, np.ndarray]:
    """When a chunk's observation was made (ns) and its rows (n, 14) rad, joints in any order.

    Raises ChunkBroken: other joints, rows of another length or not `dt_ns` apart, too many.
    """
    if sorted(message.joint_names) != sorted(NAMES):
        raise ChunkBroken(f"the chunk's joints are {list(message.joint_names)}; expected {NAMES}")
    points = message.points
    if not points or len(points) > MAX_ROWS:
        raise ChunkBroken(f"the chunk has {len(points)} rows; expected 2 to {MAX_ROWS}")
    if any(len(point.positions) != len(NAMES) for point in points):
        raise ChunkBroken(f"a row of the chunk has not {len(NAMES)} positions")
    times_ns = np.array([stamp_ns(point.time_from_start) for point in points])
    if np.abs(times_ns - np.arange(len(points)) * dt_ns).max() > EVEN * dt_ns:
        raise ChunkBroken(
            f"the chunk's rows are not {dt_ns * 1e-9:g} s apart from 0 on: its policy has another "
            "rate than the player (rate_hz)"
        )
    rows = np.array([point.positions for point in points])
    order = [list(message.joint_names).index(name) for name in NAMES]
    return stamp_ns(message.header.stamp), rows[:, order]

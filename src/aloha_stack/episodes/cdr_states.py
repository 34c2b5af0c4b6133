"""Serialises what the stack says about itself, without ROS: the other messages of an episode.

Fields and their order are those of ros2_ws/src/aloha_interfaces/msg and of sensor_msgs/CameraInfo
(a test reads them back with the real types).
"""

from dataclasses import dataclass

from aloha_stack.episodes.cdr_writing import CdrWriter


@dataclass(frozen=True)
class ArmStatusFields:
    """aloha_interfaces/ArmStatus without its header."""

    arm: str
    mode: int
    reason: str
    torque: bool
    read_age_s: float = 0.0
    cycles: int = 0
    overruns: int = 0
    failed_reads: int = 0
    rejected_commands: int = 0
    clamped_commands: int = 0


def arm_status(stamp_ns: int, fields: ArmStatusFields) -> bytes:
    """An aloha_interfaces/ArmStatus."""
    out = CdrWriter()
    out.header(stamp_ns)
    out.string(fields.arm)
    out.byte(fields.mode)
    out.string(fields.reason)
    out.byte(fields.torque)
    out.number("d", fields.read_age_s)
    for count in (
        *(fields.cycles, fields.overruns, fields.failed_reads),
        *(fields.rejected_commands, fields.clamped_commands),
    ):
        out.number("Q", count)
    return bytes(out.data)


def teleop_state(stamp_ns: int, state: int, reason: str) -> bytes:
    """An aloha_interfaces/TeleopState."""
    out = CdrWriter()
    out.header(stamp_ns)
    out.byte(state)
    out.string(reason)
    return bytes(out.data)


def player_state(stamp_ns: int, state: int, commander: int) -> bytes:
    """An aloha_interfaces/PlayerState that counts nothing and knows of no chunk."""
    out = CdrWriter()
    out.header(stamp_ns)
    out.byte(state)
    out.byte(commander)
    out.string("")
    out.number("Q", 0)  # tick
    out.unsigned(0)  # chunks
    out.number("d", -1.0)  # chunk_age
    out.number("d", 0.0)  # inference_time
    for _ in range(3):  # overruns, holds, refused
        out.number("Q", 0)
    out.unsigned(0)  # takeovers
    return bytes(out.data)


def safety_state(stamp_ns: int) -> bytes:
    """An aloha_interfaces/SafetyState of a robot that is not stopped."""
    out = CdrWriter()
    out.header(stamp_ns)
    out.byte(False)
    out.string("")
    out.unsigned(0)
    out.unsigned(0)
    return bytes(out.data)


@dataclass(frozen=True)
class TaskStateFields:
    """aloha_interfaces/TaskState without its header; a real-time factor of 0 is unknown."""

    task: str
    seed: int
    reward: int
    best_reward: int
    max_reward: int
    elapsed_s: float
    operator_state: str
    episode: int = 0
    real_time_factor: float = 0.0


def task_state(stamp_ns: int, fields: TaskStateFields) -> bytes:
    """An aloha_interfaces/TaskState."""
    out = CdrWriter()
    out.header(stamp_ns)
    out.string(fields.task)
    out.number("q", fields.seed)
    out.unsigned(fields.episode)
    for reward in (fields.reward, fields.best_reward, fields.max_reward):
        out.number("i", reward)
    out.number("d", fields.elapsed_s)
    out.string(fields.operator_state)
    out.number("d", fields.real_time_factor)
    return bytes(out.data)


def camera_info(stamp_ns: int, frame_id: str, width: int, height: int) -> bytes:
    """A sensor_msgs/CameraInfo of a camera that is not calibrated."""
    out = CdrWriter()
    out.header(stamp_ns, frame_id)
    out.unsigned(height)
    out.unsigned(width)
    out.string("")
    out.doubles(())
    for count in (9, 9, 12):
        out.array((0.0,) * count)
    for _ in range(6):  # binning x and y; the region of interest: offsets, height, width
        out.unsigned(0)
    out.byte(False)
    return bytes(out.data)

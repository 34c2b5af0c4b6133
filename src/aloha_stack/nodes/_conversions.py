"""Between ROS messages and the arrays of the ROS-free parts."""

from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.commands import MAX_POINTS, Command, CommandError, check_command
from aloha_stack.robot.gripper import Gripper, finger_from_joint, finger_velocity
from aloha_stack.robot.joints import JOINTS, STATE_JOINTS


def set_stamp(stamp: Time | Duration, time_ns: int) -> None:
    """Writes nanoseconds into a message's stamp or duration."""
    stamp.sec, stamp.nanosec = divmod(time_ns, 1_000_000_000)


def stamp_ns(stamp: Time) -> int:
    """A message's stamp in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def read_mode(number: int) -> Mode:
    """The mode in an ArmStatus; one that this version does not know is a fault of that arm."""
    try:
        return Mode(number)
    except ValueError:
        return Mode.FAULT


def read_command(message: JointTrajectory) -> Command | CommandError:
    """The command in a message, or what is wrong with it. Stamp 0 leaves the start open."""
    stamp = stamp_ns(message.header.stamp)
    points = message.points[: MAX_POINTS + 1]  # one too many is refused: the rest need not be read
    try:
        return check_command(
            message.joint_names,
            [point.positions for point in points],
            [point.velocities for point in points],
            [stamp_ns(point.time_from_start) * 1e-9 for point in points],
            stamp * 1e-9 if stamp else None,
        )
    except CommandError as error:
        return error


def target_message(position: np.ndarray, time_ns: int) -> JointTrajectory:
    """A single target (7,) rad for now."""
    message = JointTrajectory(
        joint_names=list(JOINTS),
        points=[JointTrajectoryPoint(positions=array("d", position.tolist()))],
    )
    set_stamp(message.header.stamp, time_ns)
    return message


def joint_state(names: Sequence[str] = STATE_JOINTS) -> JointState:
    """An empty message with these names, to be filled again and again."""
    return JointState(name=list(names))


def fill_state(
    message: JointState,
    position: np.ndarray,
    velocity: np.ndarray,
    effort: np.ndarray,
    gripper: Gripper,
) -> None:
    """Nine joints from the seven of a reading, each (7,): the fingers follow from the linkage.

    The right finger mirrors the left. Fingers have no effort of their own: it is the gripper's.
    """
    p, v, e = position.tolist(), velocity.tolist(), effort.tolist()
    finger = float(finger_from_joint(p[-1], gripper.linkage))
    speed = float(finger_velocity(p[-1], v[-1], gripper.linkage))
    message.position = array("d", [*p, finger, -finger])
    message.velocity = array("d", [*v, speed, -speed])
    message.effort = array("d", [*e, 0.0, 0.0])

"""The 14 numbers of an ALOHA: two arms of six joints (rad) and a gripper (0 closed, 1 open) each.

Order: left waist, shoulder, elbow, forearm_roll, wrist_angle, wrist_rotate, gripper, then the right
arm's (as tonyzhaozh/act records them). The *state's* gripper is the follower's finger position,
the *action's* the gripper joint; each normalised with the constants of the robot's file.
"""

import numpy as np

from aloha_stack.episodes.joint_columns import JointStream
from aloha_stack.robot.arm import Arm
from aloha_stack.robot.gripper import finger_from_joint, finger_velocity
from aloha_stack.robot.joints import FINGERS, JOINTS, SIDES

NAMES = tuple(f"{side}_{joint}" for side in SIDES for joint in JOINTS)
"""Of the 14 columns."""


def measured(stream: JointStream, arm: Arm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """State, velocity and effort, each (n, 7), of a follower's joint_states.

    The gripper's velocity is that of its finger in openings per second, from the servo's (drivers
    report none for fingers); its effort is the servo's. What the driver did not send is NaN. The
    stream has to have JOINTS.
    """
    gripper = arm.gripper
    columns = [stream.names.index(joint) for joint in JOINTS]
    state, velocity, effort = (
        field[:, columns] for field in (stream.position, stream.velocity, stream.effort)
    )
    angle = state[:, 6].copy()
    if FINGERS[0] in stream.names:
        finger = stream.position[:, stream.names.index(FINGERS[0])]
    else:
        finger = finger_from_joint(angle, gripper.linkage)
    state[:, 6] = gripper.normalise_finger(finger)
    travel_m = gripper.finger_open_m - gripper.finger_close_m
    velocity[:, 6] = finger_velocity(angle, velocity[:, 6], gripper.linkage) / travel_m
    return state, velocity, effort


def targets(stream: JointStream, arm: Arm) -> np.ndarray:
    """Positions (n, 7) of commands, or of a leader: the gripper is its normalised joint."""
    columns = [stream.names.index(joint) for joint in JOINTS]
    values = stream.position[:, columns]
    values[:, 6] = arm.gripper.normalise_joint(values[:, 6])
    return values

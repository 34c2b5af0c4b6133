"""What the operator does with the arms: key poses of a task, as motions of the two leaders.

Transfer cube: the right gripper comes down on the cube, 60 degrees below the horizon, lifts it and
carries it to the middle; the left one, rolled by 90 degrees so that the four fingers do not meet,
takes it there; the right one lets go and draws back. Pinch points and times are tuned in MuJoCo,
so that it works with followers that follow at once and with followers that are 80 ms behind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import pi, radians

import numpy as np

from aloha_stack.robot.description import Robot
from aloha_stack.robot.gripper import joint_from_finger
from aloha_stack.twin.kinematics import ArmKinematics, Pose, gripper_rotation
from aloha_stack.twin.operator_motion import Motion
from aloha_stack.twin.world import World

TICK_S = 0.02
SHUT_M = 0.018
"""Finger position asked of a gripper that grasps: beyond what an object leaves, so it presses."""
OPEN_M = 0.055


class NoScriptError(ValueError):
    """Nobody has taught the operator this task."""


@dataclass(frozen=True)
class Key:
    """At `tick` (20 ms) the gripper is at `pose`, its fingers at `finger_m`."""

    tick: float
    pose: Pose
    finger_m: float


class Hands:
    """Turns key poses of grippers into motions of leaders, which are to look just like them."""

    def __init__(self, world: World, robot: Robot) -> None:
        self._robot = robot
        self._arms: dict[str, ArmKinematics] = {}
        for side in ("left", "right"):
            leader, follower = robot.arm(f"leader_{side}"), robot.arm(f"follower_{side}")
            lower = np.maximum(leader.limits.soft_lower, follower.limits.soft_lower)
            upper = np.minimum(leader.limits.soft_upper, follower.limits.soft_upper)
            self._arms[side] = ArmKinematics(world.model, side, lower, upper)

    def pose_of(self, side: str, joints: np.ndarray) -> Pose:
        """Where the follower's gripper is for joint angles (6,) rad."""
        return self._arms[side].forward(joints)

    def leader_gripper(self, side: str, finger_m: float) -> float:
        """Angle (rad) of the leader's gripper that asks the follower for this finger position."""
        leader = self._robot.arm(f"leader_{side}").gripper
        follower = self._robot.arm(f"follower_{side}").gripper
        angle = float(joint_from_finger(finger_m, follower.linkage))
        opening = float(np.clip(follower.normalise_joint(angle), 0.0, 1.0))
        return leader.unnormalise_joint(opening)

    def motion(self, side: str, start: np.ndarray, keys: list[Key], pace: float) -> Motion:
        """From `start` (7,) rad at time 0 through the keys; `pace` stretches the times.

        Raises UnreachableError if a key cannot be reached.
        """
        poses, times, guess = [np.asarray(start)], [0.0], np.asarray(start)[:6]
        for key in keys:
            guess = self._arms[side].inverse(key.pose, guess)
            poses.append(np.append(guess, self.leader_gripper(side, key.finger_m)))
            times.append(key.tick * TICK_S * pace)
        return Motion(np.array(times), np.array(poses))


Script = Callable[[World, Hands, Mapping[str, np.ndarray], float], dict[str, Motion]]


def transfer_cube(
    world: World, hands: Hands, start: Mapping[str, np.ndarray], pace: float
) -> dict[str, Motion]:
    """Motions by leader, from the leaders' present positions `start` (7,) each."""
    cube = world.objects()["red_box_joint"][:3]
    meeting = np.array([0.0, 0.5, 0.25])
    down = gripper_rotation(pi, radians(60), 0.0)
    across = gripper_rotation(0.0, 0.0, pi / 2)

    def right(tick: float, x: float, y: float, z: float, finger_m: float) -> Key:
        return Key(tick, Pose(np.array([x, y, z]), down), finger_m)

    def left(tick: float, x: float, finger_m: float) -> Key:
        return Key(tick, Pose(meeting + np.array([x, 0.0, 0.0]), across), finger_m)

    x, y = float(cube[0]), float(cube[1])
    mx, my, mz = meeting
    motions = {
        "leader_right": [
            right(56, x, y, 0.10, OPEN_M),
            right(80, x, y, 0.018, OPEN_M),
            right(84, x, y, 0.018, OPEN_M),
            right(100, x, y, 0.018, SHUT_M),
            right(110, x, y, 0.018, SHUT_M),
            right(158, mx, my, mz, SHUT_M),
            right(206, mx, my, mz, SHUT_M),
            right(218, mx, my, mz, OPEN_M),
            right(240, mx + 0.10, my, mz + 0.04, OPEN_M),
        ],
        "leader_left": [
            left(76, -0.12, OPEN_M),
            left(156, -0.12, OPEN_M),
            left(178, 0.0, OPEN_M),
            left(182, 0.0, OPEN_M),
            left(198, 0.0, SHUT_M),
            left(240, 0.0, SHUT_M),
        ],
    }
    return {
        leader: hands.motion(leader.split("_")[1], start[leader], keys, pace)
        for leader, keys in motions.items()
    }


SCRIPTS: dict[str, Script] = {"transfer_cube": transfer_cube}


def find_script(task: str) -> Script:
    """The script of a task; a NoScriptError names the tasks that have one."""
    if task not in SCRIPTS:
        raise NoScriptError(
            f"no scripted operator for {task} yet; there is one for {', '.join(SCRIPTS)}"
        )
    return SCRIPTS[task]

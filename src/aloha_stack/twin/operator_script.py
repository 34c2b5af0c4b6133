"""What the operator does with the arms: key poses of a task, as motions of the two leaders.

Transfer cube: the right gripper comes down on the cube, 60 degrees below the horizon, lifts it and
carries it to the middle; the left one, rolled by 90 degrees so that the four fingers do not meet,
takes it there; the right one lets go and draws back.

Insertion: the right gripper takes the peg and the left one the socket, both from above at 60
degrees; they meet in the middle, come to rest in line, and push one into the other.

Pinch points and times are tuned in MuJoCo, so that it works with followers that follow at once and
with followers that are 90 ms behind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, radians

import numpy as np
from numpy.typing import ArrayLike

from aloha_stack.robot.description import Robot
from aloha_stack.robot.gripper import joint_from_finger
from aloha_stack.twin.kinematics import ArmKinematics, Pose, gripper_rotation
from aloha_stack.twin.operator_manner import Draws, Performance
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
    """At `tick` (20 ms) the gripper is at `pose`, its fingers at `finger_m`; `care` from 0 to 1
    says how little a hand strays from there; with more care it comes nearer to the same place."""

    tick: float
    pose: Pose
    finger_m: float
    care: float = 0.0


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

    def perform(self, side: str, start: np.ndarray, keys: list[Key], draws: Draws) -> Performance:
        """From `start` (7,) rad at time 0 through the keys, as differently as `draws` has it.

        Raises UnreachableError if a key cannot be reached.
        """
        poses, guess = [np.asarray(start)], np.asarray(start)[:6]
        times = [0.0, *(key.tick * TICK_S * draws.pace for key in keys)]
        before, astray = np.full(4, np.nan), np.zeros(3)
        for key in keys:
            here = np.append(key.pose.position, key.care)
            if not np.array_equal(here, before):  # else the hand stays where it is
                before, astray = here, (1.0 - key.care) * draws.place()
            place = key.pose.position + astray
            guess = self._arms[side].inverse(Pose(place, key.pose.rotation), guess)
            poses.append(np.append(guess, self.leader_gripper(side, key.finger_m)))
        motion = Motion(np.array(times), np.array(poses))
        # A hand that begins and ends at rest does not tremble there.
        care = np.array([1.0, *(key.care for key in keys[:-1]), 1.0])
        return Performance(motion, draws.tremor(motion.times_s, care))


Keys = dict[str, list[Key]]
"""Key poses by leader."""
Script = Callable[[World, Draws], Keys]

DOWN = radians(60)
"""How steeply a gripper comes down on what lies on the table."""


def transfer_cube(world: World, draws: Draws) -> Keys:
    """The right hand takes the cube and gives it to the left one."""
    x, y, _ = world.objects()["red_box_joint"][:3]
    meeting = np.array([0.0, 0.5, 0.25]) + 0.5 * draws.place()
    down = gripper_rotation(pi, DOWN, 0.0)
    across = gripper_rotation(0.0, 0.0, pi / 2)

    def right(tick: float, place: ArrayLike, finger_m: float, care: float) -> Key:
        return Key(tick, Pose(np.array(place), down), finger_m, care)

    def left(tick: float, away_m: float, finger_m: float, care: float) -> Key:
        return Key(tick, Pose(meeting - [away_m, 0.0, 0.0], across), finger_m, care)

    return {
        "leader_right": [
            right(46, (x, y, 0.11), OPEN_M, 0.0),
            right(66, (x, y, 0.07), OPEN_M, 0.7),
            right(84, (x, y, 0.018), OPEN_M, 0.975),
            right(88, (x, y, 0.018), OPEN_M, 0.975),
            right(104, (x, y, 0.018), SHUT_M, 0.975),
            right(112, (x, y, 0.018), SHUT_M, 0.975),
            right(160, meeting, SHUT_M, 0.965),
            right(206, meeting, SHUT_M, 0.965),
            right(218, meeting, OPEN_M, 0.965),
            right(240, meeting + [0.10, 0.0, 0.04], OPEN_M, 0.0),
        ],
        "leader_left": [
            left(76, 0.14, OPEN_M, 0.0),
            left(156, 0.12, OPEN_M, 0.7),
            left(178, 0.0, OPEN_M, 0.965),
            left(182, 0.0, OPEN_M, 0.965),
            left(198, 0.0, SHUT_M, 0.965),
            left(240, 0.0, SHUT_M, 0.965),
        ],
    }


PINCH_Z_M = 0.018
"""Over the table: lower, the fingertips would rest on it."""


def insertion(world: World, draws: Draws) -> Keys:
    """The right hand takes the peg, the left one the socket, and they are put together."""
    objects = world.objects()
    meeting = np.array([0.0, 0.5, 0.15]) + 0.5 * draws.place()

    def hand(heading_rad: float, item: str) -> list[Key]:
        x, y, z = objects[item][:3]
        grip = [0.0, 0.0, PINCH_Z_M - z]  # where it is held, seen from its middle
        rotation = gripper_rotation(heading_rad, DOWN, 0.0)
        side = -np.cos(heading_rad)

        def key(tick: float, place: ArrayLike, finger_m: float, care: float) -> Key:
            return Key(tick, Pose(np.array(place), rotation), finger_m, care)

        def apart(distance_m: float) -> np.ndarray:
            return meeting + grip + [side * distance_m, 0.0, 0.0]

        return [
            key(46, (x, y, 0.11), OPEN_M, 0.0),
            key(66, (x, y, 0.07), OPEN_M, 0.7),
            key(84, (x, y, PINCH_Z_M), OPEN_M, 0.985),
            key(88, (x, y, PINCH_Z_M), OPEN_M, 0.985),
            key(104, (x, y, PINCH_Z_M), SHUT_M, 0.985),
            key(110, (x, y, PINCH_Z_M), SHUT_M, 0.985),
            key(156, apart(0.10), SHUT_M, 0.8),
            key(172, apart(0.10), SHUT_M, 0.975),
            key(220, apart(0.045), SHUT_M, 0.975),
            key(234, apart(0.045), SHUT_M, 0.975),
        ]

    return {
        "leader_right": hand(pi, "red_peg_joint"),
        "leader_left": hand(0.0, "blue_socket_joint"),
    }


SCRIPTS: dict[str, Script] = {"transfer_cube": transfer_cube, "insertion": insertion}


def find_script(task: str) -> Script:
    """The script of a task; a NoScriptError names the tasks that have one."""
    if task not in SCRIPTS:
        raise NoScriptError(
            f"no scripted operator for {task} yet; there is one for {', '.join(SCRIPTS)}"
        )
    return SCRIPTS[task]

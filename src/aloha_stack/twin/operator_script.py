"""What the operator does with the arms: key poses of a task, as motions of the two leaders.

Transfer cube: the right gripper comes down on the cube, 60 degrees below the horizon, lifts it and
carries it to the middle; the left one, rolled by 90 degrees so that the four fingers do not meet,
takes it there; the right one lets go and draws back.

Pick and place: the right gripper takes the cube likewise, lifts it, carries it over the tray, goes
down, lets go and draws back. The left one rests.

Reach: both grippers go to the hand-over, the last 6 cm along their own axes.

Insertion: the right gripper takes the peg and the left one the socket, both from above at 60
degrees; they meet in the middle, come to rest in line, and push one into the other.

Pinch points and times are tuned in MuJoCo, so that it works with followers that follow at once and
with followers that are 90 ms behind.
"""

from collections.abc import Callable
from math import pi, radians

import numpy as np
from numpy.typing import ArrayLike

from aloha_stack.twin.kinematics import Pose, gripper_rotation
from aloha_stack.twin.operator_hands import Key
from aloha_stack.twin.operator_manner import Draws
from aloha_stack.twin.pick_place import TRAY_XY_M
from aloha_stack.twin.world import World

SHUT_M = 0.018
"""Finger position asked of a gripper that grasps: beyond what an object leaves, so it presses."""
OPEN_M = 0.055


class NoScriptError(ValueError):
    """Nobody has taught the operator this task."""


Keys = dict[str, list[Key]]
"""Key poses by leader."""
Script = Callable[[World, Draws], Keys]

DOWN = radians(60)
"""How steeply a gripper comes down on what lies on the table."""


def transfer_cube(world: World, draws: Draws) -> Keys:
    """The right hand takes the cube and gives it to the left one."""
    x, y, _ = world.objects()["red_box_joint"][:3]
    meeting = np.array([0.0, 0.5, 0.25]) + 0.25 * draws.place()
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
    meeting = np.array([0.0, 0.5, 0.15]) + 0.25 * draws.place()

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


TRAY_HEADING = radians(154)
"""From the right arm's base to the tray."""
OVER_M, LET_GO_M = 0.15, 0.05
"""Heights over the table: of the way to the tray, and of the fingers when they let go in it."""


def pick_place(world: World, draws: Draws) -> Keys:
    """The right hand takes the cube and puts it into the tray; the left one rests."""
    x, y, _ = world.objects()["red_box_joint"][:3]
    down = gripper_rotation(pi, DOWN, 0.0)
    down_there = gripper_rotation(TRAY_HEADING, DOWN, 0.0)
    there_x, there_y, _ = (*TRAY_XY_M, 0.0) + 0.25 * draws.place()

    def cube(tick: float, height_m: float, finger_m: float, care: float) -> Key:
        return Key(tick, Pose(np.array([x, y, height_m]), down), finger_m, care)

    def tray(tick: float, height_m: float, finger_m: float, care: float) -> Key:
        return Key(tick, Pose(np.array([there_x, there_y, height_m]), down_there), finger_m, care)

    return {
        "leader_right": [
            cube(46, 0.11, OPEN_M, 0.0),
            cube(66, 0.07, OPEN_M, 0.8),
            cube(84, 0.018, OPEN_M, 0.975),
            cube(88, 0.018, OPEN_M, 0.975),
            cube(104, 0.018, SHUT_M, 0.975),
            cube(112, 0.018, SHUT_M, 0.975),
            cube(132, OVER_M, SHUT_M, 0.8),
            tray(170, OVER_M, SHUT_M, 0.8),
            tray(192, LET_GO_M, SHUT_M, 0.9),
            tray(198, LET_GO_M, SHUT_M, 0.9),
            tray(210, LET_GO_M, OPEN_M, 0.9),
            tray(236, OVER_M, OPEN_M, 0.3),
        ],
        "leader_left": [],
    }


BACK_M = 0.06
"""Of the hand-over do hands that reach pass this point, from where they go straight on."""


def reach(world: World, draws: Draws) -> Keys:
    """Both hands go to the hand-over and stay there."""
    goal = world.goal
    assert goal is not None, "reach has a goal"

    def hand(side: str) -> list[Key]:
        there = goal.pose(side)
        before = Pose(there.position - BACK_M * there.rotation[:, 0], there.rotation)
        return [
            Key(80, before, OPEN_M, 0.6),
            Key(120, there, OPEN_M, 0.99),
            Key(130, there, OPEN_M, 0.99),
        ]

    return {"leader_left": hand("left"), "leader_right": hand("right")}


SCRIPTS: dict[str, Script] = {
    "transfer_cube": transfer_cube,
    "insertion": insertion,
    "pick_place": pick_place,
    "reach": reach,
}


def find_script(task: str) -> Script:
    """The script of a task; a NoScriptError names the tasks that have one."""
    if task not in SCRIPTS:
        raise NoScriptError(
            f"no scripted operator for {task} yet; there is one for {', '.join(SCRIPTS)}"
        )
    return SCRIPTS[task]

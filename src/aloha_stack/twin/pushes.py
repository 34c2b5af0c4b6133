"""Somebody pushes an arm: a force on its gripper's body, until it is changed."""

import numpy as np

from aloha_stack.robot.joints import side_of
from aloha_stack.twin.world import World


def push(world: World, follower: str, force_n: np.ndarray) -> None:
    """From now on `force_n` (3,) N, in the world's axes, pulls at the gripper of `follower`.

    Zeros end it. At rest in the start pose 40 N for 0.2 s move the gripper by 1 mm sideways to
    14 mm up: the scene's servos are stiff.
    """
    body = world.model.body(f"vx300s_{side_of(follower)}/gripper_link").id
    world.data.xfrc_applied[body, :3] = force_n

"""The robot's arms, for tests."""

import functools

from aloha_stack.robot.description import Arm, Robot, load_robot


@functools.cache
def robot() -> Robot:
    return load_robot("twin", {"ALOHA_PORTS": "ports"})


def arm(name: str = "follower_left") -> Arm:
    return robot().arm(name)

"""Virtual servos, the stand-in that drives them, and a node for the backend, in one process."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rclpy.node import Node

from aloha_stack.nodes.interbotix_bus import InterbotixBus
from aloha_stack.robot.description import Arm
from aloha_stack.twin.virtual_arm import VirtualArm
from nodes.arm_rig import ros, spinning
from nodes.interbotix_standin import XsSdk
from twin.virtual_rig import rig

PATIENCE_S = 1.0
"""A loaded machine may keep the stand-in waiting."""


class XsRig(NamedTuple):
    """`servos` behind the `driver`, and the `node` that a bus may use."""

    arm: Arm
    servos: VirtualArm
    driver: XsSdk
    node: Node

    def bus(self) -> InterbotixBus:
        """A closed bus."""
        return InterbotixBus(self.arm, self.node, PATIENCE_S)


@contextlib.contextmanager
def xs_rig(folder: Path, name: str = "follower_left") -> Iterator[XsRig]:
    """All of it, in a ROS graph of its own."""
    with ros(), rig(folder, name) as live:
        driver = XsSdk(live.arm, f"/xs_{name}")
        node = Node("bridge", namespace=name, use_global_arguments=False)
        try:
            with spinning(node):
                yield XsRig(live.arm, live.virtual, driver, node)
        finally:
            driver.die()
            node.destroy_node()

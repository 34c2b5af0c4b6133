"""Who drives an arm's servos: this process over the serial port, or the xs_sdk driver over ROS."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from rclpy.node import Node

from aloha_stack.dynamixel.arm_bus import ArmBus
from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.robot.description import Arm


def _dynamixel(arm: Arm, _node: Node) -> ArmBus:
    return DynamixelBus(arm)


def _interbotix(arm: Arm, node: Node) -> ArmBus:
    # Only when chosen: it is for machines on which Interbotix' packages are installed.
    from aloha_stack.nodes.interbotix_bus import InterbotixBus

    return InterbotixBus(arm, node)


BACKENDS: Mapping[str, Callable[[Arm, Node], ArmBus]] = MappingProxyType(
    {"dynamixel": _dynamixel, "interbotix": _interbotix}
)
"""Each makes the bus of an arm for a node. ValueError where it cannot be used."""

"""Which of a robot's cameras a graph uses: the same choice for who shows and who records them."""

from rclpy.node import Node

from aloha_stack.nodes._parameters import declare
from aloha_stack.robot.description import Robot


def with_chosen_cameras(node: Node, robot: Robot) -> Robot:
    """`robot` with the cameras that the parameter `camera_names` names, which is declared here.

    RobotConfigError, a ValueError, lists the cameras that exist.
    """
    text = declare(
        node, "camera_names", "", "the cameras to use, as NAME,NAME; empty: all of the robot"
    )
    names = [name.strip() for name in text.split(",") if name.strip()]
    return robot.with_cameras(names) if names else robot

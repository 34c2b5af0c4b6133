"""Which of a robot's cameras a graph uses: the same choice for who shows and who records them."""

from rclpy.node import Node

from aloha_stack.nodes._parameters import declare
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.seen_cameras import seen_cameras
from aloha_stack.robot.description import Robot

ALL = "all"
OF = "of:"
"""Before the folder of a checkpoint, in place of names."""


def with_chosen_cameras(node: Node, robot: Robot) -> Robot:
    """`robot` with the cameras that the parameter `camera_names` chooses, which is declared here.

    RobotConfigError, a ValueError, lists the cameras that exist.
    """
    text = declare(
        node,
        "camera_names",
        "",
        f"the cameras to use, as NAME,NAME; {OF}FOLDER: those that a checkpoint's policy sees; "
        f"{ALL}, or empty: all of the robot",
    ).strip()
    if text.startswith(OF):
        names = _of_checkpoint(node, text.removeprefix(OF).strip())
    else:
        names = [name.strip() for name in text.split(",") if name.strip() and text != ALL]
    return robot.with_cameras(names) if names else robot


def _of_checkpoint(node: Node, folder: str) -> list[str]:
    """None, which means all, for no folder, and for one that does not say: that the checkpoint
    cannot be used is the policy node's to say, and another may be loaded instead."""
    try:
        return list(seen_cameras(folder)) if folder else []
    except PolicyError as error:
        node.get_logger().warning(f"all cameras are used: {error}")
        return []

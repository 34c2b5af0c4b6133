"""The parameters of an arm's bridge."""

from dataclasses import dataclass

from rclpy.node import Node

from aloha_stack.control.arm_modes import Settings
from aloha_stack.control.gravity import DEFAULT_CAP_A, GREATEST_CAP_A, GREATEST_SCALE
from aloha_stack.nodes._arm_backends import BACKENDS
from aloha_stack.nodes._parameters import declare


@dataclass(frozen=True)
class ArmParameters:
    """As they were given; `light`, `cap_a` and `scale` are of gravity compensation."""

    robot: str
    arm: str
    backend: str
    settings: Settings
    watchdog_s: float
    light: bool
    cap_a: float
    scale: float


def declared_parameters(node: Node) -> ArmParameters:
    """Declares them for `node`; a ValueError for those that cannot be."""
    robot = declare(node, "robot", "aloha", "robot file: a name in config/robots, or a path")
    name = declare(node, "arm", str, "which arm of the robot file this is")
    backend = declare(node, "backend", "dynamixel", "who drives the servos", choices=BACKENDS)
    rate_hz = declare(node, "rate_hz", 100.0, "bus cycles per second of ROS time", (10, 500))
    settings = Settings(
        period_s=1 / rate_hz,
        max_command_age_s=declare(
            node, "max_command_age", 0.1, "s; an older command moves nothing", (0.01, 2.0)
        ),
        heartbeat_timeout_s=declare(
            node,
            "heartbeat_timeout",
            0.5,
            "s of steady time without /safety/state until the arm holds",
            (0.1, 5.0),
        ),
        park_speed_rad_s=declare(
            node, "park_speed", 1.0, "rad/s; top speed on the way to the rest pose", (0.1, 3.0)
        ),
    )
    watchdog_s = declare(
        node,
        "watchdog",
        0.5,
        "s until the servos stop by themselves (Bus Watchdog)",
        (0.1, 2.5),
    )
    light = declare(
        node, "gravity_compensation", False, "whether a leader's servos may carry its weight"
    )
    cap_a = declare(
        node,
        "gravity_current_cap_a",
        DEFAULT_CAP_A,
        "A; no servo is given more to carry a leader's weight. Outstretched it takes 1.7 at "
        "the shoulder: with 1.0 the hand carries two fifths of that",
        (0.05, GREATEST_CAP_A),
    )
    scale = declare(
        node,
        "gravity_scale",
        1.0,
        "part of its weight that a leader's servos carry, within gravity_current_cap_a",
        (0.0, GREATEST_SCALE),
    )
    if light and backend == "interbotix":
        raise ValueError(
            "gravity_compensation is not possible with backend interbotix: xs_sdk's own reads "
            "feed the servos' watchdogs, which would go on pushing when this bridge is gone"
        )
    return ArmParameters(robot, name, backend, settings, watchdog_s, light, cap_a, scale)

"""One arm as its robot file describes it: servos, limits, poses, gripper, body. Immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aloha_stack.robot.chain import Chain
from aloha_stack.robot.gripper import Gripper
from aloha_stack.robot.joints import JOINTS
from aloha_stack.robot.servos import MODEL_NUMBERS


@dataclass(frozen=True)
class Servo:
    """One Dynamixel servo. `shadow_of` is the ID of the servo that a shadow follows.

    `where` is its place in the arm's file, for messages: "vx300s.yaml: servos[3] (elbow)".
    """

    id: int
    joint: str
    model: str
    shadow_of: int | None
    drive_mode: int
    registers: Mapping[str, int] = field(hash=False)
    where: str = field(default="", compare=False)

    @property
    def model_number(self) -> int:
        return MODEL_NUMBERS[self.model]


@dataclass(frozen=True)
class Limits:
    """Limits of the seven addressed joints, arrays (7,) in the order of JOINTS; rad, s."""

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray
    margin_rad: float

    @property
    def soft_lower(self) -> np.ndarray:
        """The lowest position that may be commanded (7,): the limit plus the margin."""
        return self.lower + self.margin_rad

    @property
    def soft_upper(self) -> np.ndarray:
        """The highest position that may be commanded (7,): the limit less the margin."""
        return self.upper - self.margin_rad


@dataclass(frozen=True)
class Arm:
    """One arm: nine servos on one serial port. Poses are (7,) rad in the order of JOINTS."""

    name: str
    role: str
    model: str
    port: str
    baud: int
    servos: tuple[Servo, ...]
    limits: Limits
    rest_pose: np.ndarray
    start_pose: np.ndarray
    gripper: Gripper
    chain: Chain

    @property
    def addressed(self) -> tuple[Servo, ...]:
        """The seven servos that are read and written, in the order of JOINTS (no shadows)."""
        by_joint = {servo.joint: servo for servo in self.servos if servo.shadow_of is None}
        return tuple(by_joint[joint] for joint in JOINTS)

    @property
    def is_leader(self) -> bool:
        return self.role == "leader"

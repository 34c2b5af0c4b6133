"""The gripper: servo angle (rad), finger position (m) and the normalised unit (0 closed, 1 open).

The servo turns a crank whose rod slides a finger: an in-line crank-slider,

    finger = r sin(angle) + sqrt(l^2 - (r cos(angle))^2)

with crank r and rod l. For the ViperX, r = 22 mm and l = 36 mm reproduce both published pairs of
ALOHA constants (tonyzhaozh/aloha: 1.4910 rad is 58.0 mm, -0.6213 rad is 18.4 mm; Interbotix/aloha:
1.6214 rad is 57.9 mm, 0.6197 rad is 44.0 mm); for the leaders r = 14 mm and l = 24 mm do.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Value = TypeVar("Value", float, np.ndarray)


@dataclass(frozen=True)
class Linkage:
    """Crank and rod of a gripper, m."""

    crank_m: float
    rod_m: float


@dataclass(frozen=True)
class Gripper:
    """One arm's gripper: its linkage, and where it counts as open and closed.

    `engage_below_rad` (leaders only): squeezing the handle below this angle asks to engage.
    """

    linkage: Linkage
    joint_open_rad: float
    joint_close_rad: float
    finger_open_m: float
    finger_close_m: float
    engage_below_rad: float | None = None

    def normalise_joint(self, angle_rad: Value) -> Value:
        """Servo angle to 0 (closed) … 1 (open). Actions use this unit, from the leader's joint."""
        return (angle_rad - self.joint_close_rad) / (self.joint_open_rad - self.joint_close_rad)

    def unnormalise_joint(self, opening: Value) -> Value:
        """0 (closed) … 1 (open) to servo angle, rad."""
        return self.joint_close_rad + opening * (self.joint_open_rad - self.joint_close_rad)

    def normalise_finger(self, finger_m: Value) -> Value:
        """Finger position to 0 (closed) … 1 (open). Observations use this unit (follower)."""
        return (finger_m - self.finger_close_m) / (self.finger_open_m - self.finger_close_m)

    def unnormalise_finger(self, opening: Value) -> Value:
        """0 (closed) … 1 (open) to finger position, m."""
        return self.finger_close_m + opening * (self.finger_open_m - self.finger_close_m)


def finger_from_joint(angle_rad: Value, linkage: Linkage) -> Value:
    """Finger position (m, from the middle plane) for a servo angle."""
    crank, rod = linkage.crank_m, linkage.rod_m
    return crank * np.sin(angle_rad) + np.sqrt(rod**2 - (crank * np.cos(angle_rad)) ** 2)


def joint_from_finger(finger_m: Value, linkage: Linkage) -> Value:
    """Servo angle in [-pi/2, pi/2] for a finger position: the inverse of `finger_from_joint`.

    From the law of cosines in the triangle crank, rod, finger: l^2 = r^2 + x^2 - 2 r x sin(angle).
    Positions that the linkage cannot reach give the nearest end of its travel.
    """
    crank, rod = linkage.crank_m, linkage.rod_m
    sine = (crank**2 + finger_m**2 - rod**2) / (2 * crank * finger_m)
    return np.arcsin(np.clip(sine, -1.0, 1.0))


def finger_velocity(angle_rad: Value, velocity_rad_s: Value, linkage: Linkage) -> Value:
    """Finger velocity (m/s): the derivative of `finger_from_joint` times the servo's velocity."""
    crank, rod = linkage.crank_m, linkage.rod_m
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    slope = crank * cosine + crank**2 * cosine * sine / np.sqrt(rod**2 - (crank * cosine) ** 2)
    return slope * velocity_rad_s

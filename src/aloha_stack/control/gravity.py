"""Gravity compensation: the currents at which an arm's servos carry its weight, and no more.

The torque that holds joint j still is the work of gravity on all that it carries (virtual work):

    tau_j = -a_j · ((S_j - M_j p_j) x g)  if it turns,    tau_j = -a_j · M_j g  if it slides,

M_j and S_j being mass and first moment of the links beyond it, a_j its axis, p_j its origin.
The fingers' share reaches the gripper's servo through the slope of its linkage.
"""

import numpy as np

from aloha_stack.robot.chain import Chain
from aloha_stack.robot.description import Arm
from aloha_stack.robot.gripper import finger_velocity
from aloha_stack.robot.joints import GRIPPER, JOINTS, STATE_JOINTS
from aloha_stack.robot.servos import NM_PER_AMPERE

GRAVITY_M_S2 = 9.81

DEFAULT_CAP_A, GREATEST_CAP_A = 1.0, 1.5
"""Of one servo, strictly. 1.0 A is under half of an XM430's stall current. An outstretched WidowX
takes 1.70 A at each shoulder servo (6.1 N·m by its masses), 0.73 A at the elbow, 0.27 A at the
wrist: at 1.0 A the shoulder carries 59 % of it and the hand the rest, at 1.5 A 88 %."""
GREATEST_SCALE = 1.2
"""Of the weight: what is not modelled (a handle, a cable) is little."""
DAMPING = np.array([0.08, 0.08, 0.06, 0.01, 0.01, 0.004, 0.0])
"""N·m·s/rad, ours: it calms the arm; a hand hardly feels it."""
LIMIT_ZONE_RAD = 0.1
"""This near to a joint's limit, torque towards the limit fades to nothing."""


def gravity_torque(chain: Chain, position: np.ndarray) -> np.ndarray:
    """Torques (7,) N·m that hold the arm still at `position` (7,) rad. Its base stands upright."""
    poses = chain.forward(position)
    rotations, origins = poses[:, :3, :3], poses[:, :3, 3]
    centres = origins + (rotations @ chain.coms[:, :, None])[..., 0]
    axes = (rotations @ chain.axes[:, :, None])[..., 0]
    mass = chain.carried @ chain.masses
    arm = chain.carried @ (chain.masses[:, None] * centres) - mass[:, None] * origins
    # With g = (0, 0, -|g|): a · (r x g) = |g| (a_y r_x - a_x r_y).
    turning = -GRAVITY_M_S2 * (axes[:, 1] * arm[:, 0] - axes[:, 0] * arm[:, 1])
    sliding = GRAVITY_M_S2 * axes[:, 2] * mass
    by_joint = np.zeros(len(STATE_JOINTS))
    by_joint[chain.joint_indices] = np.where(chain.slides, sliding, turning)[1:]
    torque = by_joint[:7]
    slope = finger_velocity(float(position[6]), 1.0, chain.linkage)
    torque[6] += slope * (by_joint[7] - by_joint[8])
    return torque


class GravityCompensation:
    """Goal currents that make an arm light in the hand.

    `cap_a` bounds the current of each servo, whatever the model says. `scale` weighs the arm: less
    than 1 leaves a part of it to the hand, 0 all of it. The gripper gets none, nor does a joint
    with a servo that cannot be given a current. A shadow gets its master's current, so that each
    servo of a pair carries its part. ValueError for numbers that cannot be.
    """

    def __init__(self, arm: Arm, cap_a: float = DEFAULT_CAP_A, scale: float = 1.0) -> None:
        if not 0.0 < cap_a <= GREATEST_CAP_A:
            raise ValueError(f"cap_a is {cap_a}; expected more than 0, up to {GREATEST_CAP_A} A")
        if not 0.0 <= scale <= GREATEST_SCALE:
            raise ValueError(f"scale is {scale}; expected 0 … {GREATEST_SCALE}")
        self.cap_a, self.scale = cap_a, scale
        self._chain, self._lower, self._upper = arm.chain, arm.limits.lower, arm.limits.upper
        self._ampere_per_nm = np.array([_ampere_per_nm(arm, joint) for joint in JOINTS])

    def currents(self, position: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """Current of each addressed servo (7,) A, at `position` (7,) rad and `velocity` rad/s."""
        for name, values in (("position", position), ("velocity", velocity)):
            if np.shape(values) != (7,) or not np.all(np.isfinite(values)):
                raise ValueError(f"{name}: expected 7 finite numbers, found {values}")
        torque = self.scale * gravity_torque(self._chain, position) - DAMPING * velocity
        room = np.where(torque > 0.0, self._upper - position, position - self._lower)
        torque *= np.clip(room / LIMIT_ZONE_RAD, 0.0, 1.0)
        return np.clip(torque * self._ampere_per_nm, -self.cap_a, self.cap_a)


def _ampere_per_nm(arm: Arm, joint: str) -> float:
    """What each servo of `joint` needs for one N·m at the joint; 0 where it gets none."""
    models = [servo.model for servo in arm.servos if servo.joint == joint]
    if joint == GRIPPER or not all(model in NM_PER_AMPERE for model in models):
        return 0.0
    return 1.0 / sum(NM_PER_AMPERE[model] for model in models)

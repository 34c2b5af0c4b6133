"""Gravity compensation: the currents at which an arm's servos carry its weight, and no more.

The torque that holds joint j still is the work of gravity on all that it carries (virtual work):

    tau_j = -a_j · ((S_j - M_j p_j) x g)  if it turns,    tau_j = -a_j · M_j g  if it slides,

M_j and S_j being mass and first moment of the links beyond it, a_j its axis, p_j its origin.
The fingers' share reaches the gripper's servo through the slope of its linkage.
"""

import numpy as np

from aloha_stack.robot.chain import Chain
from aloha_stack.robot.gripper import finger_velocity
from aloha_stack.robot.joints import STATE_JOINTS

GRAVITY_M_S2 = 9.81


def gravity_torque(chain: Chain, position: np.ndarray) -> np.ndarray:
    """Torques (7,) N·m that hold the arm still at `position` (7,) rad. Its base stands upright."""
    rotations, origins = chain.poses(position)
    centres = origins + (rotations @ chain.coms[:, :, None])[..., 0]
    mass = chain.carried @ chain.masses
    moment = chain.carried @ (chain.masses[:, None] * centres)
    arm = moment - mass[:, None] * origins
    axes = (rotations @ chain.axes[:, :, None])[..., 0]
    # With g = (0, 0, -|g|): a · (r x g) = |g| (a_y r_x - a_x r_y).
    turning = -GRAVITY_M_S2 * (axes[:, 1] * arm[:, 0] - axes[:, 0] * arm[:, 1])
    sliding = GRAVITY_M_S2 * axes[:, 2] * mass
    by_joint = np.zeros(len(STATE_JOINTS))
    by_joint[chain.joint_indices] = np.where(chain.slides, sliding, turning)[1:]
    torque = by_joint[:7]
    slope = finger_velocity(float(position[6]), 1.0, chain.linkage)
    torque[6] += slope * (by_joint[7] - by_joint[8])
    return torque

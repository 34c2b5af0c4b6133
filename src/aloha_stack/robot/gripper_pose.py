"""Where an arm's gripper is, and joint angles that bring it somewhere, from the robot's file.

The pose is that of `gripper_link` in the arm's base frame (robot/chain.py). Inverse kinematics is
damped least squares on the geometric Jacobian (robot/damped_step.py), every iterate clipped to the
limits. Out of reach it ends as near as it gets: that is told, and for the caller to judge. Poses
that follow each other closely, as a control loop's, take one to three iterations.
"""

from dataclasses import dataclass

import numpy as np

from aloha_stack.robot.arm import Arm
from aloha_stack.robot.damped_step import damped_step
from aloha_stack.robot.joints import ARM_JOINTS, JOINTS
from aloha_stack.robot.rotations import log

DAMPING = 0.01
LEAST_DAMPING = 1e-4
NEAR = 0.1
"""Error (m + rad) below which the damping fades."""
GRIPPER_LINK = "gripper_link"


@dataclass(frozen=True, eq=False)
class GripperPose:
    """position (3,) m; rotation (3, 3), its columns the gripper's axes: forward, left, up."""

    position: np.ndarray
    rotation: np.ndarray


@dataclass(frozen=True)
class Reached:
    """Joints (6,) rad, and how far from the wanted pose they leave the gripper."""

    joints: np.ndarray
    distance_m: float
    angle_rad: float


class GripperKinematics:
    """Of one arm; solutions lie within its limits, less their margin."""

    def __init__(self, arm: Arm) -> None:
        count = len(ARM_JOINTS)
        self.lower, self.upper = arm.limits.soft_lower[:count], arm.limits.soft_upper[:count]
        self._chain = arm.chain
        self._gripper = arm.chain.index(GRIPPER_LINK)
        self._links = np.array(
            [[link.joint for link in arm.chain.links].index(joint) for joint in ARM_JOINTS]
        )
        self._axes = arm.chain.axes[self._links][..., None]

    def forward(self, joints: np.ndarray) -> GripperPose:
        """The pose at joint angles (6,) rad."""
        return self._pose(self._link_poses(joints))

    def inverse(
        self,
        target: GripperPose,
        guess: np.ndarray,
        tolerance_m: float = 1e-4,
        tolerance_rad: float = 1e-3,
        iterations: int = 20,
    ) -> Reached:
        """Joints near `guess` (6,) rad that bring the gripper to `target`, or near it."""
        joints = np.clip(np.asarray(guess, dtype=float), self.lower, self.upper)
        best = Reached(joints, np.inf, np.inf)
        for last in [*[False] * iterations, True]:
            links = self._link_poses(joints)
            here = self._pose(links)
            error = np.append(
                target.position - here.position, log(target.rotation @ here.rotation.T)
            )
            far, turned = float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:]))
            if far + turned < best.distance_m + best.angle_rad:
                best = Reached(joints, far, turned)
            if last or (far <= tolerance_m and turned <= tolerance_rad):
                break
            joints = np.clip(joints + self._step(links, here, error), self.lower, self.upper)
        return best

    def _step(self, links: np.ndarray, here: GripperPose, error: np.ndarray) -> np.ndarray:
        moved = links[self._links]
        axes = (moved[:, :3, :3] @ self._axes)[..., 0]
        arms = np.cross(axes, here.position - moved[:, :3, 3])
        jacobian = np.concatenate([arms, axes], axis=1).T
        size = float(np.linalg.norm(error[:3]) + np.linalg.norm(error[3:]))
        damping = max(DAMPING * min(1.0, size / NEAR), LEAST_DAMPING)
        return damped_step(jacobian, error, damping**2)

    def _link_poses(self, joints: np.ndarray) -> np.ndarray:
        return self._chain.forward(np.append(joints, np.zeros(len(JOINTS) - len(joints))))

    def _pose(self, links: np.ndarray) -> GripperPose:
        pose = links[self._gripper]
        return GripperPose(pose[:3, 3], pose[:3, :3])

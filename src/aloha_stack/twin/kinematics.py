"""Forward and inverse kinematics of the ViperX, from the MuJoCo model itself.

The point that is placed is the pinch point: the middle between the fingertips, 140 mm ahead of the
origin of the scene's `gripper_link` (its tips reach from 134 to 154 mm). Inverse kinematics is
damped least squares on MuJoCo's Jacobian (robot/damped_step.py), with every iterate clipped to the
joint limits, and lambda^2 growing with the error (Sugihara, 2011), so that the last steps are
Newton's also where the wrist is nearly straight. The axes of the last three joints meet in one
point, so every solution has a twin: forearm and wrist half a turn round, the wrist bent the other
way. Close to a straight wrist a descent may end at either; the one that moves the joints less is
taken.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from aloha_stack.robot.damped_step import damped_step
from aloha_stack.robot.joints import ARM_JOINTS

PINCH_M = 0.14
DAMPING = 0.02
NEAR = 0.1
"""Error (m + rad) below which the damping fades."""
LEAST_DAMPING = 1e-7
MAX_ITERATIONS = 100
RESTARTS = 8


class UnreachableError(ValueError):
    """No joint angles within the limits bring the gripper to the pose."""


@dataclass(frozen=True)
class Pose:
    """Where the pinch point is, in the world: position (3,) m; rotation (3, 3), columns = the
    gripper's axes: forward, the line along which the fingers close, up."""

    position: np.ndarray
    rotation: np.ndarray


class ArmKinematics:
    """Kinematics of the scene's arm on one side ('left', 'right').

    `lower` and `upper` (6,) rad bound the solutions. Works on data of its own: calls have no effect
    on any world and depend on their arguments only.
    """

    def __init__(
        self, model: mujoco.MjModel, side: str, lower: np.ndarray, upper: np.ndarray
    ) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        joints = [model.joint(f"vx300s_{side}/{name}") for name in ARM_JOINTS]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dof = np.array([joint.dofadr[0] for joint in joints])
        self._body = model.body(f"vx300s_{side}/gripper_link").id
        self.lower, self.upper = np.array(lower[:6]), np.array(upper[:6])
        self._jacobian = np.zeros((6, model.nv))

    def forward(self, joints: np.ndarray) -> Pose:
        """Pose of the pinch point for joint angles (6,) rad."""
        self._data.qpos[self._qpos] = joints[:6]
        mujoco.mj_kinematics(self._model, self._data)
        rotation = self._data.xmat[self._body].reshape(3, 3).copy()
        return Pose(self._data.xpos[self._body] + PINCH_M * rotation[:, 0], rotation)

    def inverse(
        self,
        target: Pose,
        guess: np.ndarray,
        tolerance_m: float = 2e-4,
        tolerance_rad: float = 2e-3,
    ) -> np.ndarray:
        """Joint angles (6,) rad that bring the pinch point to `target`, near `guess` (6,).

        Raises UnreachableError when neither the guess nor a few others near it lead there.
        """
        random = np.random.default_rng(0)
        guess = np.asarray(guess, dtype=float)[:6]
        nearest_m = np.inf
        for attempt in range(RESTARTS):
            spread = random.normal(0.0, 0.4, 6) if attempt else 0.0
            joints = np.clip(guess + spread, self.lower, self.upper)
            joints, far, turned = self._descend(target, joints, tolerance_m, tolerance_rad)
            if far <= tolerance_m and turned <= tolerance_rad:
                either = [joints, *self._flipped(joints)]
                return min(either, key=lambda joints: float(np.abs(joints - guess).max()))
            nearest_m = min(nearest_m, far)
        raise UnreachableError(
            "no joint angles within the limits bring the gripper to "
            f"{np.round(target.position, 3)} m in the wanted orientation: "
            f"the nearest ends {nearest_m * 1000:.1f} mm away"
        )

    def _flipped(self, joints: np.ndarray) -> list[np.ndarray]:
        """The same pose with the wrist bent the other way, where the limits allow it."""
        other = joints.copy()
        other[3] -= np.copysign(np.pi, joints[3])
        other[4] = -joints[4]
        other[5] -= np.copysign(np.pi, joints[5])
        return [other] if np.all((self.lower <= other) & (other <= self.upper)) else []

    def _descend(
        self, target: Pose, joints: np.ndarray, tolerance_m: float, tolerance_rad: float
    ) -> tuple[np.ndarray, float, float]:
        for _ in range(MAX_ITERATIONS):
            here = self.forward(joints)
            error = np.append(target.position - here.position, _rotation_vector(here, target))
            far, turned = float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:]))
            if far <= tolerance_m and turned <= tolerance_rad:
                break
            mujoco.mj_comPos(self._model, self._data)
            mujoco.mj_jac(
                self._model,
                self._data,
                self._jacobian[:3],
                self._jacobian[3:],
                here.position,
                self._body,
            )
            jacobian = self._jacobian[:, self._dof]
            damping = DAMPING**2 * min(1.0, (far + turned) / NEAR)
            step = damped_step(jacobian, error, max(damping, LEAST_DAMPING))
            joints = np.clip(joints + step, self.lower, self.upper)
        return joints, far, turned


def _rotation_vector(here: Pose, there: Pose) -> np.ndarray:
    """The rotation (3,) rad, in the world, that turns `here` into `there`."""
    quaternion, vector = np.zeros(4), np.zeros(3)
    mujoco.mju_mat2Quat(quaternion, (there.rotation @ here.rotation.T).ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector


def gripper_rotation(heading_rad: float, down_rad: float, roll_rad: float) -> np.ndarray:
    """Orientation (3, 3) of a gripper: it points to `heading_rad` (about the vertical, 0 = +x),
    `down_rad` below the horizon, rolled by `roll_rad` about its own axis."""
    ch, sh = np.cos(heading_rad), np.sin(heading_rad)
    cd, sd = np.cos(down_rad), np.sin(down_rad)
    cr, sr = np.cos(roll_rad), np.sin(roll_rad)
    heading = np.array([[ch, -sh, 0], [sh, ch, 0], [0, 0, 1]])
    down = np.array([[cd, 0, sd], [0, 1, 0], [-sd, 0, cd]])
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return heading @ down @ roll

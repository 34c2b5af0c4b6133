"""One follower arm in the MuJoCo model: servo goals in, servo readings out, limp without torque.

The gripper's servo moves both fingers through its linkage (robot/gripper.py). Effort is what the
actuators exert on the joints, N·m; at the gripper it is the fingers' force times the slope of the
linkage (virtual work).

A servo turns no faster than it can: the actuators are given a reference that walks to the goal at
the joint's greatest speed (limits.velocity of the arm's file), and where there is no torque stays
with the joint. A goal across the room would otherwise throw the scene's stiff actuators into the
table.

The scene holds its joints in place with friction of 30-60 N·m, as gears under torque would. A limp
joint must not: while its torque is off, its actuator does nothing and its friction and damping are
those of a servo turned by its own weight. That friction is a modest guess for geared servos of this
size, not a measurement: enough to settle quietly, too little to hold an outstretched arm up.
"""

import mujoco
import numpy as np

from aloha_stack.robot.description import Arm
from aloha_stack.robot.gripper import finger_from_joint, finger_velocity, joint_from_finger
from aloha_stack.robot.joints import ARM_JOINTS, FINGERS, side_of

LIMP_FRICTION = np.array([0.8, 0.8, 0.8, 0.3, 0.2, 0.2, 2.0, 2.0])
"""N·m for the six arm joints, N for the two fingers."""
LIMP_DAMPING = np.array([1.0, 1.0, 0.6, 0.2, 0.1, 0.1, 20.0, 20.0])
"""N·m·s/rad for the six arm joints, N·s/m for the two fingers."""
MIN_SLOPE = 2e-3
"""m/rad: below it, near the linkage's dead centre, a finger says nothing of the servo's speed."""


class WorldArm:
    """The follower arm `arm` of the scene; `side` is left or right. Arrays (7,) in rad, N·m."""

    def __init__(self, arm: Arm, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model, self._data = model, data
        self._linkage = arm.gripper.linkage
        prefix = f"vx300s_{side_of(arm.name)}"
        joints = [model.joint(f"{prefix}/{name}") for name in ARM_JOINTS + FINGERS]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dof = np.array([joint.dofadr[0] for joint in joints])
        driven = {model.actuator_trnid[i, 0]: i for i in range(model.nu)}
        self._actuator = np.array([driven[joint.id] for joint in joints])
        self._gain = model.actuator_gainprm[self._actuator].copy()
        self._bias = model.actuator_biasprm[self._actuator].copy()
        self._friction = model.dof_frictionloss[self._dof].copy()
        self._damping = model.dof_damping[self._dof].copy()
        self._lower, self._upper = arm.limits.lower, arm.limits.upper
        self._stride = arm.limits.velocity * model.opt.timestep
        self._torque = np.ones(7, dtype=bool)
        self._goal = self._reference = np.array(arm.rest_pose)
        self._arrived = False

    def command(self, position: np.ndarray, torque: np.ndarray) -> None:
        """Servo goals (7,) rad and which of them have torque (7,) bool. Checked by the world."""
        self._goal = np.clip(position, self._lower, self._upper)
        if not np.array_equal(torque, self._torque):
            self._set_torque(torque.copy())
        self._arrived = False

    def _set_torque(self, torque: np.ndarray) -> None:
        powered = np.append(torque, torque[6])
        column = powered[:, None]
        self._model.actuator_gainprm[self._actuator] = np.where(column, self._gain, 0.0)
        self._model.actuator_biasprm[self._actuator] = np.where(column, self._bias, 0.0)
        self._model.dof_frictionloss[self._dof] = np.where(powered, self._friction, LIMP_FRICTION)
        self._model.dof_damping[self._dof] = np.where(powered, self._damping, LIMP_DAMPING)
        # A joint that was limp until now starts from where it hangs.
        self._reference = np.where(self._torque, self._reference, self._position())
        self._torque = torque

    def advance(self) -> None:
        """Walks the actuators' reference one step on to the goals. Once before every step."""
        if self._arrived:
            return
        way = self._goal - self._reference
        step = np.clip(way, -self._stride, self._stride)
        self._reference = self._reference + step
        self._arrived = bool(np.array_equal(way, step))
        finger = float(finger_from_joint(float(self._reference[6]), self._linkage))
        self._data.ctrl[self._actuator] = [*self._reference[:6], finger, -finger]

    def place(self, position: np.ndarray) -> None:
        """Puts the joints at `position` (7,) rad, at rest: for the start of a world only."""
        finger = float(finger_from_joint(float(position[6]), self._linkage))
        self._data.qpos[self._qpos] = [*position[:6], finger, -finger]
        self._data.qvel[self._dof] = 0.0
        self._reference = np.array(position, dtype=float)
        self._arrived = False

    def _position(self) -> np.ndarray:
        q = self._data.qpos[self._qpos]
        return np.append(q[:6], joint_from_finger((q[6] - q[7]) / 2, self._linkage))

    def state(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position (rad), velocity (rad/s) and effort (N·m) of the seven servos, (7,) each."""
        position = self._position()
        v, force = self._data.qvel[self._dof], self._data.actuator_force[self._actuator]
        slope = max(float(finger_velocity(float(position[6]), 1.0, self._linkage)), MIN_SLOPE)
        velocity = np.append(v[:6], (v[6] - v[7]) / 2 / slope)
        effort = np.append(force[:6], (force[6] - force[7]) * slope)
        return position, velocity, effort

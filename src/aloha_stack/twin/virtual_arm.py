"""The nine virtual servos of one arm, between the bytes of its bus and the joints of its body."""

from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from aloha_stack.dynamixel.packets import BROADCAST
from aloha_stack.dynamixel.units import (
    NM_PER_UNIT,
    RAD_PER_TICK,
    RAD_S_PER_VELOCITY_UNIT,
)
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import JOINTS
from aloha_stack.twin.protocol import ServoLine
from aloha_stack.twin.servo import CURRENT, CURRENT_BASED, EXTENDED, POSITION, VirtualServo

MOUNTED_REVERSED: Mapping[str, frozenset[int]] = MappingProxyType(
    {"vx300s": frozenset({2, 4, 7}), "wx250s": frozenset({3, 5, 7})}
)
"""The servos that turn against their joint, by arm model and ID: how the metal is screwed together.

Source: Drive_Mode in Interbotix' vx300s.yaml and wx250s.yaml (interbotix_xsarm_control). It is not
taken from the robot file, so that a wrong drive mode there turns a joint the wrong way here too.
"""

_DRIVEN_BY: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"goal_velocity": (1,), "goal_pwm": (16,)}
)
"""Goals other than position and current, and the operating modes in which they move a servo."""

_POSITION_MODES = (POSITION, EXTENDED, CURRENT_BASED)
_LOG_LENGTH = 20_000


class VirtualArm:
    """One arm's servos, set up for ALOHA: 1 Mbaud, secondary IDs and EEPROM of the robot file.

    It comes with torque off and RAM as after power-on. Wire side: handle(bytes). World side:
    update() with the state of the seven joints, goals() with what the servos pull at.
    For measurements: `written_goals` logs every goal position on the wire as (model time s,
    addressed ID, ticks), whether taken or not, the latest 20,000; `on_goal`, if set, is called with
    (addressed ID, ticks) of each before it is obeyed; `violations` logs the goals that no host of
    this project may send, as (model time s, addressed ID, what it was in words).
    """

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        reversed_ids = MOUNTED_REVERSED.get(arm.model)
        if reversed_ids is None:
            raise ValueError(
                f"no virtual arm of model '{arm.model}'; there is {', '.join(MOUNTED_REVERSED)}"
            )
        self.servos: dict[int, VirtualServo] = {}
        for servo in arm.servos:
            mounting = -1 if servo.id in reversed_ids else 1
            virtual = VirtualServo(servo.model, servo.id, mounting)
            eeprom = {"baud_rate": 3, **servo.registers}
            virtual.load_eeprom(eeprom)
            self.servos[servo.id] = virtual
        self.written_goals: deque[tuple[float, int, int]] = deque(maxlen=_LOG_LENGTH)
        self.violations: deque[tuple[float, int, str]] = deque(maxlen=_LOG_LENGTH)
        self.on_goal: Callable[[int, int], None] | None = None
        self._shadows = {servo.id for servo in arm.servos if servo.shadow_of is not None}
        self.line = ServoLine(tuple(self.servos.values()), self._log_goal)
        self._addressed = [self.servos[servo.id] for servo in arm.addressed]
        self._joints = [
            [master, *(self.servos[s.id] for s in arm.servos if s.shadow_of == master.id)]
            for master in self._addressed
        ]
        all_servos = list(zip(arm.servos, self.servos.values(), strict=True))
        self._joint_index = np.array([JOINTS.index(servo.joint) for servo, _ in all_servos])
        share = [sum(s.joint == servo.joint for s in arm.servos) for servo, _ in all_servos]
        nm = [NM_PER_UNIT[servo.model] for servo, _ in all_servos]
        self._units_per_nm = 1.0 / (np.array(nm) * np.array(share))
        self._state = np.zeros((3, len(JOINTS)))
        self._state_is_new = True

    def _log_goal(self, servo_id: int, name: str, value: int) -> None:
        if name == "goal_position":
            self.written_goals.append((self.line.now_s, servo_id, value))
            if self.on_goal is not None:
                self.on_goal(servo_id, value)
        why = self._violation(servo_id, name, value)
        if why:
            self.violations.append((self.line.now_s, servo_id, f"{name} = {value}: {why}"))

    def _violation(self, servo_id: int, name: str, value: int) -> str:
        """Why this goal must never be on the wire, as far as the servos' registers tell."""
        servo = self.servos.get(servo_id)
        if servo is None:
            return "to all servos" if servo_id == BROADCAST else "to no servo of this arm"
        if servo_id in self._shadows and name == "goal_position":
            return "to a shadow"
        if name == "goal_position":
            low, high = servo.lowest_goal, servo.highest_goal
            return "" if low <= value <= high else f"beyond the position limits {low} … {high}"
        if servo_id in self._shadows and servo.mode == CURRENT and value:
            return "to a shadow"
        if servo.torque and servo.mode in _DRIVEN_BY.get(name, ()):
            return f"it moves a servo in operating mode {servo.mode}"
        limit = name.removeprefix("goal_") + "_limit"
        most = servo.get(limit) if limit in servo.table else 0
        return "" if abs(value) <= most else f"beyond {limit} {most}"

    # -- the wire -------------------------------------------------------------------------------

    def handle(self, data: bytes) -> bytes:
        """The answers to the bytes on the bus. Never raises, whatever the bytes are."""
        if self._state_is_new:
            self._show_state()
        return self.line.handle(data)

    def advance(self, now_s: float) -> None:
        """Model time: Bus Watchdogs and reboots count it."""
        if self._state_is_new:
            self._show_state()  # a watchdog that trips holds the present position
        self.line.advance(now_s)

    # -- the world ------------------------------------------------------------------------------

    def update(self, position: np.ndarray, velocity: np.ndarray, effort: np.ndarray) -> None:
        """The state of the seven joints, each (7,): rad, rad/s, N·m."""
        self._state[0], self._state[1], self._state[2] = position, velocity, effort
        self._state_is_new = True

    def goals(self) -> tuple[np.ndarray, np.ndarray]:
        """What the servos pull at: positions (7,) rad, and which joints have torque (7,) bool.

        A joint with two servos is held by the one that still has torque, at full strength here.
        A servo that is not in a position mode does not hold: see goals_current().
        """
        goals, torque = [], []
        for servos in self._joints:
            holding = [s for s in servos if s.torque and s.mode in _POSITION_MODES]
            pulls = [s.direction * (s.goal_ticks - s.zero_ticks) for s in holding or servos[:1]]
            goals.append(sum(pulls) / len(pulls))
            torque.append(bool(holding))
        return np.array(goals) * RAD_PER_TICK, np.array(torque)

    def goals_current(self) -> tuple[np.ndarray, np.ndarray]:
        """What servos in current mode push with: torque (7,) N·m of each joint, all its servos
        together, and which joints are pushed so (7,) bool."""
        push, pushed = np.zeros(len(JOINTS)), np.zeros(len(JOINTS), dtype=bool)
        for index, servos in enumerate(self._joints):
            for servo in servos:
                if servo.torque and servo.mode == CURRENT:
                    units = servo.direction * servo.get("goal_current")
                    push[index] += units * NM_PER_UNIT[servo.model]
                    pushed[index] = True
        return push, pushed

    def _show_state(self) -> None:
        """Joints to the present registers of all nine; the servos of a joint share its effort."""
        self._state_is_new = False
        position, velocity, effort = self._state[:, self._joint_index]
        servos = self.servos.values()
        direction = np.array([servo.direction for servo in servos])
        zero = np.array([servo.zero_ticks for servo in servos])
        shaft = position / RAD_PER_TICK
        ticks = np.rint(zero + direction * shaft).astype(np.int64).tolist()
        speed = np.rint(direction * velocity / RAD_S_PER_VELOCITY_UNIT).astype(np.int64).tolist()
        current = np.rint(direction * effort * self._units_per_nm).astype(np.int64).tolist()
        for servo, *values in zip(servos, shaft.tolist(), ticks, speed, current, strict=True):
            servo.show(*values)

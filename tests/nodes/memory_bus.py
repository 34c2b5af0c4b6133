"""An arm's bus in memory: servos that obey at once, but for a sag, and what may befall them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aloha_stack.dynamixel.arm_bus import BusState, ServoHealth
from aloha_stack.dynamixel.errors import NotTaken, PortClosed, PortLost, PortMissing, ServoSilent
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import JOINTS

SAG_RAD = 0.02
"""How far the weight pulls joints off their goals."""


@dataclass
class Grip:
    """Where the joints were when it was taken, their goals before, which of them held those, and
    the goals from then on; (7,) each."""

    position: np.ndarray
    before: np.ndarray
    firm: np.ndarray
    goals: list[np.ndarray] = field(default_factory=list)


class MemoryBus:
    """`ArmBus` for tests of what stands above it; `grips` are the goals, from grip to grip.

    `silent`, `damaged`, `broken` (in hardware error), `tripped`, `limp`: servos by ID. `unplugged`:
    the port is gone. `stubborn`: torque is not taken.
    """

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        self.position = np.array(arm.start_pose)
        self.goal = self.position.copy()
        self.on = {servo.id: False for servo in arm.servos}
        self.silent: set[int] = set()
        self.damaged: set[int] = set()
        self.broken: set[int] = set()
        self.tripped: set[int] = set()
        self.registers = {
            "present_temperature": 30,
            "temperature_limit": 80,
            "present_input_voltage": 120,
            "min_voltage_limit": 95,
            "max_voltage_limit": 160,
        }
        """Of every servo."""
        self.modes: dict[int, int] = {}
        """Operating modes by ID, where it is not 3."""
        self.unplugged = self.stubborn = False
        self.is_open = False
        self._looks = 0
        self._known = {servo.id: ServoHealth() for servo in arm.servos}
        self.round_trip_s = 0.003
        self.jumps: list[float] = []
        """How far each joint that was limp was from its goal as it got torque, rad."""
        self.grips = [Grip(self.position, self.goal, np.zeros(len(JOINTS), dtype=bool))]

    # -- what befalls it ----------------------------------------------------------------------

    def restart(self, servo_id: int) -> None:
        """The servo restarts: limp, its error and its watchdog forgotten."""
        self.on[servo_id] = False
        self.broken.discard(servo_id)
        self.tripped.discard(servo_id)

    def fail(self, servo_id: int) -> None:
        """A hardware error that takes the torque."""
        self.broken.add(servo_id)
        self.on[servo_id] = False

    def settle(self) -> None:
        """Held joints hang a little below their goals, limp ones fall further."""
        held = np.array([self.is_held(joint) for joint in JOINTS])
        self.position = np.where(held, self.goal - SAG_RAD, self.position - 0.001)

    def is_held(self, joint: str) -> bool:
        return any(self.on[s.id] for s in self.arm.servos if s.joint == joint)

    def is_firm(self, joint: str) -> bool:
        """Whether the servo that is told a joint's goal holds it, whatever its shadow does."""
        (told,) = (s.id for s in self.arm.addressed if s.joint == joint)
        return self.on[told] and told not in self.tripped

    # -- ArmBus -------------------------------------------------------------------------------

    def open(self) -> None:
        if self.unplugged:
            raise PortMissing(f"{self.arm.name}: does not exist")
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def _use(self, *ids: int) -> None:
        if not self.is_open:
            raise PortClosed(f"{self.arm.name}: is not open")
        if self.unplugged:
            raise PortLost(f"{self.arm.name}: was lost")
        if silent := self.silent & set(ids or self.on):
            raise ServoSilent(f"{silent} do not answer", tuple(silent))

    def check(self) -> None:
        self._use()

    def configure(self) -> tuple[str, ...]:
        self._use()
        return ()

    def torque(self) -> Mapping[int, bool]:
        self._use()
        return dict(self.on)

    def set_torque(self, on: bool) -> None:
        self._use()
        away = dict(zip(JOINTS, np.abs(self.goal - self.position).tolist(), strict=True))
        if on:
            self.jumps += [away[joint] for joint in JOINTS if not self.is_held(joint)]
        for servo_id in self.on:
            if not (on and (self.stubborn or servo_id in self.broken)):
                self.on[servo_id] = on
        if on and (self.stubborn or self.broken):
            raise NotTaken("torque was not taken", tuple(self.broken))

    def read(self) -> BusState:
        self._use(0)
        addressed = [servo.id for servo in self.arm.addressed]
        missing = tuple(i for i in addressed if i in self.silent | self.damaged)
        lost = np.array([i in missing for i in addressed])
        return BusState(
            np.where(lost, np.nan, self.position),
            np.where(lost, np.nan, 0.0),
            np.where(lost, np.nan, 0.0),
            missing,
            tuple(i for i in addressed if i in self.broken and i not in missing),
            tuple(i for i in missing if i in self.damaged),
        )

    def watch(self) -> Mapping[int, ServoHealth]:
        """Torque and errors every other time, watchdogs every fourth; else what was known."""
        self._use(0)
        self._looks += 1
        for i, on in self.on.items():
            known = replace(self._known[i], answered=i not in self.silent | self.damaged)
            if known.answered and self._looks % 2:
                error = ("overload",) if i in self.broken else ()
                known = replace(known, torque=on, hardware_error=error)
            if known.answered and self._looks % 4 == 0:
                known = replace(known, watchdog_tripped=i in self.tripped)
            self._known[i] = known
        return dict(self._known)

    def write_goals(self, position: np.ndarray) -> np.ndarray:
        self._use(0)
        assert np.isfinite(position).all()
        self.grips[-1].goals.append(np.array(position))
        taken = [servo.id not in self.tripped for servo in self.arm.addressed]
        self.goal = np.where(taken, position, self.goal)
        return np.array(position)

    def set_watchdog(self, timeout_s: float) -> None:
        self._use()
        if timeout_s == 0:
            firm = [self.is_firm(joint) for joint in JOINTS]
            self.grips.append(Grip(self.position, self.goal, np.array(firm)))
        self.tripped.clear()

    def read_register(self, servo_id: int, name: str) -> int:
        self._use(servo_id)
        if name == "bus_watchdog":
            return -1 if servo_id in self.tripped else 25
        if name == "operating_mode":
            return self.modes.get(servo_id, 3)
        return self.registers[name]

    def write_register(self, servo_id: int, name: str, value: int) -> None:
        self._use(servo_id)
        assert name == "torque_enable"
        self.on[servo_id] = bool(value)

    def hardware_errors(self) -> Mapping[int, tuple[str, ...]]:
        self._use()
        return dict.fromkeys(self.broken, ("overload",))

    def recover(self, ids: Iterable[int]) -> None:
        self._use(*ids)
        for servo_id in ids:
            self.restart(servo_id)

    def latency_timer_ms(self) -> int | None:
        return None

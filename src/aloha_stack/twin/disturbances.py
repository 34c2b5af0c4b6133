"""The faults of one arm at work: on its servos, and on what they say.

What the metal does in each case, as far as its documents and its physics tell:

- Servos that talk at once pull the line low together: a bit is 1 only where all say 1.
- A servo that restarts is silent for BOOT_S, has the RAM of a new one, no torque, no watchdog.
- A servo whose data wire is cut keeps its power: it holds its last goal until its Bus Watchdog
  trips, which nobody hears; once it is heard again it refuses goals until the trip is cleared.
- A hardware error stands until a reboot, and comes back after it while its cause lasts.
- An answer of Protocol 2.0 bears no number: an old one looks like a new one.
"""

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aloha_stack.dynamixel.packets import status
from aloha_stack.twin.faults import Fault, FaultError
from aloha_stack.twin.servo import VirtualServo
from aloha_stack.twin.virtual_arm import VirtualArm

ERROR_BITS: Mapping[str, int] = MappingProxyType(
    {"undervoltage": 0x01, "overheating": 0x04, "overload": 0x20}
)
"""Of hardware_error_status (70)."""

_GHOST_TICKS = 700
"""How far from the servo whose ID it shares the second servo stands."""

_FOREIGN_ID = 200
"""Of no servo of any arm."""

_HARMFUL = frozenset({"lost_reply", "crc_noise", "truncated", "concatenated"})


@dataclass
class _Running:
    """A fault that goes on; `left` counts the answers that it still takes away."""

    fault: Fault
    until_s: float
    left: int
    ghost: VirtualServo | None = None


class Disturbances:
    """What befalls `arm`; chance comes from `seed`. Times in the clock of the port's service()."""

    def __init__(self, arm: VirtualArm, seed: str) -> None:
        self._arm = arm
        self._chance = random.Random(seed)
        self._running: list[_Running] = []
        self._said: deque[bytes] = deque(maxlen=32)
        self._late = b""

    def check(self, fault: Fault) -> None:
        """Raises FaultError if the arm has no such servo."""
        if fault.servo and fault.servo not in self._arm.servos:
            known = ", ".join(map(str, self._arm.servos))
            raise FaultError(
                f"{fault.kind}: {self._arm.arm.name} has no servo {fault.servo}; it has {known}"
            )

    # -- beginning and ending -------------------------------------------------------------------

    def begin(self, fault: Fault, now_s: float) -> None:
        """It happens now."""
        servos = self._arm.servos
        if fault.kind in ("servo_reboot", "brown_out"):
            for servo in [servos[fault.servo]] if fault.servo else servos.values():
                servo.reboot(now_s + fault.duration_s)
            return
        until_s = now_s + fault.duration_s if fault.duration_s else math.inf
        running = _Running(fault, until_s, left=round(fault.force))
        if fault.kind == "dead_servo":
            servos[fault.servo].silent = True
        elif fault.kind == "duplicate_id":
            running.ghost = _second(servos[fault.servo])
            self._arm.line.attach(running.ghost)
        elif fault.kind in ERROR_BITS:
            servos[fault.servo].fail(ERROR_BITS[fault.kind])
            if not fault.duration_s:
                return
            _show_cause(servos[fault.servo], fault.kind, True)
        self._running.append(running)
        self._settle()

    def advance(self, now_s: float) -> None:
        """Ends what is over; brings back hardware errors whose cause lasts."""
        for running in tuple(self._running):
            if running.fault.kind in ERROR_BITS:
                self._keep_failing(running, now_s)
            elif now_s >= running.until_s:
                self._end(running)

    def clear(self) -> None:
        """Ends all that lasts. What it has done to the servos stays, as on metal."""
        for running in tuple(self._running):
            self._end(running)
        self._late = b""

    def _end(self, running: _Running) -> None:
        self._running.remove(running)
        fault, servos = running.fault, self._arm.servos
        if fault.kind == "dead_servo":
            servos[fault.servo].silent = any(
                (other.fault.kind, other.fault.servo) == ("dead_servo", fault.servo)
                for other in self._running
            )
        elif running.ghost is not None:
            self._arm.line.detach(running.ghost)
        elif fault.kind in ERROR_BITS:
            _show_cause(servos[fault.servo], fault.kind, False)
        self._settle()

    def _keep_failing(self, running: _Running, now_s: float) -> None:
        """Until its time is up."""
        servo, bit = self._arm.servos[running.fault.servo], ERROR_BITS[running.fault.kind]
        if now_s >= running.until_s:
            self._end(running)
        elif not servo.get("hardware_error_status") & bit and servo.boots_until_s <= now_s:
            servo.fail(bit)

    def _settle(self) -> None:
        self._arm.line.disturb = self._harm if self.harms_answers else None

    # -- what there is --------------------------------------------------------------------------

    def _first(self, kind: str) -> Fault | None:
        return next((r.fault for r in self._running if r.fault.kind == kind), None)

    @property
    def harms_answers(self) -> bool:
        """Whether answers may be damaged, lost or late now."""
        return any(running.fault.kind in _HARMFUL for running in self._running)

    @property
    def unplugged(self) -> bool:
        return self._first("unplugged") is not None

    @property
    def slowness(self) -> float:
        """How many times its time every byte takes; 1 on a sound line."""
        slow = self._first("slow_bus")
        return slow.force if slow else 1.0

    # -- answers --------------------------------------------------------------------------------

    def _harm(self, servo_id: int, answer: bytes) -> bytes:
        """What becomes of one servo's answer."""
        self._said.append(answer)
        for running in tuple(self._running):
            fault = running.fault
            if fault.servo not in (0, servo_id):
                continue
            if fault.kind == "lost_reply":
                running.left -= 1
                if running.left <= 0:
                    self._end(running)
                return b""
            if fault.kind == "crc_noise":
                answer = self._flip(answer, fault.force)
            elif fault.kind == "truncated" and fault.servo and self._happens(fault):
                answer = self._cut(answer)
        return answer

    def burst(self, reply: bytes) -> bytes:
        """What becomes of all that the servos answer to one request."""
        if not reply or not (self._running or self._late):
            return reply
        cut, stick = self._first("truncated"), self._first("concatenated")
        if cut and not cut.servo and self._happens(cut):
            reply = self._cut(reply)
        if self._late:
            reply, self._late = self._late + reply, b""
        elif stick and self._happens(stick):
            if self._chance.random() < 0.5:
                reply, self._late = b"", reply
            else:
                reply = self._stray() + reply
        return reply

    def forget(self) -> None:
        """Nobody listens any more: what was late is lost."""
        self._late = b""

    def _happens(self, fault: Fault) -> bool:
        return self._chance.random() < fault.force

    def _flip(self, answer: bytes, probability: float) -> bytes:
        """Each byte with some probability another one."""
        chance = self._chance
        return bytes(
            byte ^ chance.randint(1, 255) if chance.random() < probability else byte
            for byte in answer
        )

    def _cut(self, answer: bytes) -> bytes:
        return answer[: self._chance.randrange(1, len(answer))] if len(answer) > 1 else answer

    def _stray(self) -> bytes:
        """An answer from some time ago, or of a servo that nobody asked."""
        if self._said and self._chance.random() < 0.5:
            return self._chance.choice(tuple(self._said))
        return status(_FOREIGN_ID, 0, self._chance.randbytes(10))


def _second(servo: VirtualServo) -> VirtualServo:
    """Another servo with the ID and set-up of `servo`, limp, elsewhere, as after power-on."""
    twin = VirtualServo(servo.model, servo.id, servo.mounting)
    twin.load_eeprom({n: servo.get(n) for n, register in twin.table.items() if register.eeprom})
    position = servo.get("present_position") + _GHOST_TICKS
    twin.show((position - twin.zero_ticks) / twin.direction, position, 0, 0)
    return twin


def _show_cause(servo: VirtualServo, kind: str, lasts: bool) -> None:
    """The measurements beyond their limits, or back at what they are by default."""
    for name, of, value in (
        ("present_temperature", "overheating", servo.get("temperature_limit") + 2),
        ("present_input_voltage", "undervoltage", servo.get("min_voltage_limit") - 5),
    ):
        if kind == of:
            servo.put(name, value if lasts else servo.table[name].default)

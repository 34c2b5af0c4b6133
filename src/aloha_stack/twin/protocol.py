"""The servos' end of Protocol 2.0: what several virtual servos answer to the packets on their line.

Source: ROBOTIS e-manual, "Protocol 2.0" (instructions, order of the answers) and, of the X series,
"Secondary(Shadow) ID" and "Status Return Level"; the fast sync read as dynamixel_sdk expects it.
"""

from collections.abc import Callable, Iterator, Sequence

from aloha_stack.dynamixel import packets
from aloha_stack.dynamixel.packets import BROADCAST, HEADER, Frame, crc16, status
from aloha_stack.twin.servo import (
    BAD_CRC,
    FAILED,
    OK,
    OUT_OF_RANGE,
    TOO_SHORT,
    UNKNOWN_INSTRUCTION,
    VirtualServo,
)

GoalLog = Callable[[int, str, int], None]
"""Called with (addressed ID, register, value) for every goal on the wire, whether taken or not."""

Disturb = Callable[[int, bytes], bytes]
"""Makes of what was said in answer for an ID what arrives of it."""

_GOALS = (("goal_pwm", 100, 2), ("goal_current", 102, 2), ("goal_velocity", 104, 4),
          ("goal_position", 116, 4))  # fmt: skip
_FIRST_GOAL, _PAST_GOALS = 100, 120
_CLEAR_MULTI_TURN = bytes((0x01, 0x44, 0x58, 0x4C, 0x22))


class ServoLine:
    """Several virtual servos on one line; each obeys its own ID and, in silence, its secondary.

    `disturb`, if set, damages answers. `unanswered` tells whether the last request asked for an
    answer that nobody gave.
    """

    def __init__(self, servos: Sequence[VirtualServo], log_goal: GoalLog) -> None:
        self.servos = tuple(servos)
        self.now_s = 0.0
        self.disturb: Disturb | None = None
        self.unanswered = False
        self._all_heard_s = 0.0
        self._log_goal = log_goal
        self._rest = b""
        self._sort_by_id()

    def advance(self, now_s: float) -> None:
        """Model time goes on: the Bus Watchdogs count."""
        self.now_s = now_s
        for servo in self.servos:
            if servo.torque:
                if not servo.silent:  # what is said to all does not reach one whose wire is cut
                    servo.heard_s = max(servo.heard_s, self._all_heard_s)
                servo.watch(now_s)

    def forget(self) -> None:
        """Drops a half-received packet: the line has another user now."""
        self._rest = b""

    def attach(self, servo: VirtualServo) -> None:
        """One more servo on the line; it may have the ID of another."""
        self.servos = (*self.servos, servo)
        self._sort_by_id()

    def detach(self, servo: VirtualServo) -> None:
        """A servo leaves the line."""
        self.servos = tuple(one for one in self.servos if one is not servo)
        self._sort_by_id()

    def handle(self, data: bytes) -> bytes:
        """The answers to the bytes on the line, in order; half a packet waits for the rest."""
        self.unanswered = False
        frames, self._rest = packets.scan(self._rest + data if self._rest else data)
        return b"".join([self._answer(frame) for frame in frames])

    # -- who hears ------------------------------------------------------------------------------

    def _sort_by_id(self) -> None:
        self._own: dict[int, list[VirtualServo]] = {}
        self._shadows: dict[int, list[VirtualServo]] = {}
        for servo in self.servos:
            self._own.setdefault(servo.id, []).append(servo)
            if servo.secondary_id not in (-1, servo.id):
                self._shadows.setdefault(servo.secondary_id, []).append(servo)

    def _listening(self, group: dict[int, list[VirtualServo]], servo_id: int) -> list[VirtualServo]:
        servos = group.get(servo_id, ())
        return [s for s in servos if not s.silent and s.boots_until_s <= self.now_s]

    def _hearing(self, servo_id: int) -> Iterator[tuple[VirtualServo, bool]]:
        """Who obeys a packet to `servo_id`, and whether through its secondary ID."""
        for servo in self._listening(self._own, servo_id):
            yield servo, False
        if servo_id in self._shadows:
            for servo in self._listening(self._shadows, servo_id):
                yield servo, True

    # -- packets to one ID ----------------------------------------------------------------------

    def _answer(self, frame: Frame) -> bytes:
        code, parameters = frame.body[0], frame.body[1:]
        if code == packets.STATUS:
            return b""
        if not frame.intact:
            own = self._listening(self._own, frame.id)
            complaints = [status(s.id, BAD_CRC | s.alert) for s in own if s.answers_writes]
            return self._said(frame.id, complaints) if complaints else b""
        if frame.id == BROADCAST:
            self._all_heard_s = self.now_s
            return self._broadcast(code, parameters)
        if code in (packets.WRITE, packets.REG_WRITE):
            self._note_goals(frame.id, _address(parameters), parameters[2:])
        answers = []
        for servo, secondary in self._hearing(frame.id):
            servo.heard_s = self.now_s
            if code == packets.PING:
                answer = self._pong(servo)
            elif code == packets.READ:
                answer = self._read(servo, parameters)
            else:
                alert = servo.alert  # a reboot still answers as it was
                error = self._obey(servo, code, parameters, secondary)
                answer = status(frame.id, error | alert) if servo.answers_writes else b""
            if not secondary:
                answers.append(answer)
        return self._said(frame.id, answers)

    def _said(self, servo_id: int, answers: Sequence[bytes]) -> bytes:
        """What arrives of what the servos of one ID say, all at the same time."""
        answer = answers[0] if len(answers) == 1 else _together(answers)
        if answer and self.disturb is not None:
            answer = self.disturb(servo_id, answer)
        if not answer:
            self.unanswered = True
        return answer

    def _pong(self, servo: VirtualServo) -> bytes:
        memory = servo.memory
        return status(servo.id, servo.alert, bytes((memory[0], memory[1], memory[6])))

    def _read(self, servo: VirtualServo, parameters: bytes) -> bytes:
        if not servo.answers_reads:
            return b""
        if len(parameters) != 4:
            return status(servo.id, TOO_SHORT | servo.alert)
        error, data = servo.read(_address(parameters), _address(parameters[2:]))
        return status(servo.id, error | servo.alert, data)

    def _obey(self, servo: VirtualServo, code: int, parameters: bytes, secondary: bool) -> int:
        """An instruction that changes the servo; returns the error number."""
        if code == packets.WRITE:
            if len(parameters) < 3:
                return TOO_SHORT
            return self._write(servo, _address(parameters), parameters[2:], secondary)
        if code == packets.REG_WRITE:
            if len(parameters) < 3:
                return TOO_SHORT
            servo.registered = _address(parameters), parameters[2:], secondary
            servo.put("registered_instruction", 1)
            return OK
        if code == packets.ACTION:
            if servo.registered is None:
                return UNKNOWN_INSTRUCTION
            address, data, through_secondary = servo.registered
            servo.registered = None
            servo.put("registered_instruction", 0)
            return self._write(servo, address, data, through_secondary)
        if code == packets.REBOOT:
            servo.reboot(self.now_s)
            return OK
        if code == packets.CLEAR:
            if parameters != _CLEAR_MULTI_TURN:
                return OUT_OF_RANGE
            servo.lose_turns()
            return OK
        if code == packets.FACTORY_RESET:
            return FAILED  # it would take the servo's ID and baud rate with it: no twin of that
        return UNKNOWN_INSTRUCTION

    def _write(self, servo: VirtualServo, address: int, data: bytes, secondary: bool) -> int:
        error = servo.write(address, data, secondary)
        if address <= 12 and not error:
            self._sort_by_id()
        return error

    def _note_goals(self, servo_id: int, address: int, data: bytes) -> None:
        if address >= _PAST_GOALS or address + len(data) <= _FIRST_GOAL:
            return
        for name, goal_address, size in _GOALS:
            at = goal_address - address
            if 0 <= at <= len(data) - size:
                value = int.from_bytes(data[at : at + size], "little", signed=True)
                self._log_goal(servo_id, name, value)

    # -- packets to all -------------------------------------------------------------------------

    def _broadcast(self, code: int, parameters: bytes) -> bytes:
        if code == packets.SYNC_READ:
            address, length = _address(parameters), _address(parameters[2:])
            return b"".join([self._sync_answer(i, address, length) for i in parameters[4:]])
        if code == packets.SYNC_WRITE:
            self._sync_write(parameters)
        elif code == packets.FAST_SYNC_READ:
            return self._fast_sync_read(parameters)
        elif code == packets.BULK_READ:
            blocks = [parameters[i : i + 5] for i in range(0, len(parameters) - 4, 5)]
            asked = [(block[0], _address(block[1:]), _address(block[3:])) for block in blocks]
            return b"".join([self._sync_answer(*each) for each in asked])
        elif code == packets.BULK_WRITE:
            self._bulk_write(parameters)
        elif code == packets.PING:
            pongs = [
                (i, [self._pong(s) for s in self._listening(self._own, i)])
                for i in sorted(self._own)
            ]
            return b"".join(self._said(i, each) for i, each in pongs if each)
        else:
            if code in (packets.WRITE, packets.REG_WRITE):
                self._note_goals(BROADCAST, _address(parameters), parameters[2:])
            for servo_id in tuple(self._own):
                for servo in self._listening(self._own, servo_id):
                    self._obey(servo, code, parameters, False)
        return b""

    def _sync_answer(self, servo_id: int, address: int, length: int) -> bytes:
        answers = []
        for servo in self._listening(self._own, servo_id):
            if servo.answers_reads:
                error, data = servo.read(address, length)
                answers.append(status(servo_id, error | servo.alert, data))
        return self._said(servo_id, answers)

    def _sync_write(self, parameters: bytes) -> None:
        address, length = _address(parameters), _address(parameters[2:])
        for at in range(4, len(parameters) - length, length + 1):
            self._write_silently(parameters[at], address, parameters[at + 1 : at + 1 + length])

    def _bulk_write(self, parameters: bytes) -> None:
        at = 0
        while at + 5 <= len(parameters):
            length = _address(parameters[at + 3 :])
            data = parameters[at + 5 : at + 5 + length]
            if len(data) == length:
                self._write_silently(parameters[at], _address(parameters[at + 1 :]), data)
            at += 5 + length

    def _write_silently(self, servo_id: int, address: int, data: bytes) -> None:
        self._note_goals(servo_id, address, data)
        for servo, secondary in self._hearing(servo_id):
            self._write(servo, address, data, secondary)

    def _fast_sync_read(self, parameters: bytes) -> bytes:
        """One packet that the servos write together: error, ID, data and a CRC so far, each.

        Never stuffed. Where a servo is silent, the packet breaks off: all that follow wait for it.
        """
        address, length = _address(parameters), _address(parameters[2:])
        ids = parameters[4:]
        total = 1 + len(ids) * (length + 4)
        answer = HEADER + bytes((BROADCAST, total & 0xFF, total >> 8, packets.STATUS))
        for servo_id in ids:
            blocks = []
            for servo in self._listening(self._own, servo_id):
                if servo.answers_reads:
                    error, data = servo.read(address, length)
                    block = bytes((error | servo.alert, servo_id)) + data
                    blocks.append(block + crc16(answer + block).to_bytes(2, "little"))
            arrived = self._said(servo_id, blocks)
            answer += arrived
            if len(arrived) < length + 4:
                break
        return answer


def _together(answers: Sequence[bytes]) -> bytes:
    """Several at once: each pulls the line low for its zeros, and only what all leave high is 1."""
    wire = bytearray(b"\xff" * max(map(len, answers), default=0))
    for answer in answers:
        for at, byte in enumerate(answer):
            wire[at] &= byte
    return bytes(wire)


def _address(parameters: bytes) -> int:
    """The little-endian word at the start, 0 if it is not there."""
    return int.from_bytes(parameters[:2], "little")

"""Who is on a port, at which baud rate: for an arm of which nothing is known yet."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aloha_stack.dynamixel.latency import latency_timer_ms
from aloha_stack.dynamixel.packets import BROADCAST, HEADER, PING, STATUS, Frame, instruction, scan
from aloha_stack.dynamixel.patience import QUIET_S, START_S, Patience
from aloha_stack.dynamixel.port import PollingPort

ALL_IDS = range(253)
_PONG_SIZE = 14
CALL_SILENCE_S, CALL_LIMIT_S = 0.06, 0.25
"""After a broadcast ping: silence that ends the answers, and the end of all patience."""


@dataclass(frozen=True)
class FoundServo:
    """A servo that answered to a ping.

    `model_number` and `firmware` are None where the answer was damaged: noise, or two servos with
    this ID. (Two that are alike in both answer as one: DynamixelBus.check() finds them.)
    """

    baud: int
    id: int
    model_number: int | None = None
    firmware: int | None = None


def scan_port(
    path: str, bauds: Sequence[int], ids: Iterable[int] = ALL_IDS
) -> tuple[FoundServo, ...]:
    """All servos that answer at one of `bauds`, by baud rate and ID.

    About 4 ms per ID and baud rate: a broadcast ping, which lets all IDs have their turn, takes
    0.8 s and cannot tell a silent servo from a damaged answer. Raises the errors of the port.
    """
    wanted = tuple(ids)
    found: list[FoundServo] = []
    for baud in bauds:
        port = PollingPort(path, baud)
        port.openPort()
        try:
            found += _scan(port, wanted)
        finally:
            port.closePort()
    return tuple(found)


def call_all(port: PollingPort, slack_s: float) -> frozenset[int]:
    """The IDs that answer to one broadcast ping, in less than 0.3 s.

    Servos answer in the order of their IDs: one whose ID lies far above all others may not get its
    turn in that time.
    """
    port.clearPort()
    port.writePort(instruction(BROADCAST, PING))
    heard = b""
    deadline = time.monotonic() + CALL_LIMIT_S
    while port.wait(min(CALL_SILENCE_S + slack_s, deadline - time.monotonic())):
        heard += port.take()
    return frozenset(frame.id for frame in scan(heard)[0] if _is_pong(frame))


def _is_pong(frame: Frame) -> bool:
    return frame.intact and len(frame.body) == 5 and frame.body[0] == STATUS


def _scan(port: PollingPort, ids: Sequence[int]) -> list[FoundServo]:
    patience = Patience()
    patience.reset(latency_timer_ms(port.port_name) or 0)
    wire_s = (10 + _PONG_SIZE) * port.tx_time_per_byte / 1000
    heard = bytearray()
    for servo_id in ids:
        port.writePort(instruction(servo_id, PING))
        heard += _listen(port, wire_s + QUIET_S + patience.slack_s)
    heard += _listen(port, START_S)  # a slow machine may deliver late; an ID tells whose it is
    pongs = {frame.id: frame.body for frame in scan(bytes(heard))[0] if _is_pong(frame)}
    damaged = [i for i in ids if i not in pongs and HEADER + bytes((i,)) in heard]
    servos = [
        FoundServo(port.baudrate, i, int.from_bytes(body[2:4], "little"), body[4])
        for i, body in pongs.items()
        if i in ids
    ]
    servos += [FoundServo(port.baudrate, i) for i in damaged]
    return sorted(servos, key=lambda servo: servo.id)


def _listen(port: PollingPort, patience_s: float) -> bytes:
    """What comes within the time; a whole answer ends it at once."""
    heard = b""
    deadline = time.monotonic() + patience_s
    while len(heard) < _PONG_SIZE and port.wait(deadline - time.monotonic()):
        heard += port.take()
    return heard

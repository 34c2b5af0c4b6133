"""Protocol 2.0 packets as bytes: build, find, check (source: ROBOTIS e-manual, "Protocol 2.0").

    FF FF FD 00 | ID | length (2) | instruction, parameters | CRC (2)

`length` counts from the instruction to the CRC. Inside the body FF FF FD is sent as FF FF FD FD
(byte stuffing), so that FF FF FD 00 always is the start of a packet. The CRC covers the stuffed
bytes.
"""

from collections.abc import Iterable
from typing import NamedTuple

HEADER = b"\xff\xff\xfd\x00"
BROADCAST = 0xFE
MAX_LENGTH = 1024
"""The longest length field that is taken for real: what dynamixel_sdk sends and accepts at most."""

PING, READ, WRITE, REG_WRITE, ACTION, FACTORY_RESET, REBOOT, CLEAR = 1, 2, 3, 4, 5, 6, 8, 0x10
STATUS, SYNC_READ, SYNC_WRITE, FAST_SYNC_READ = 0x55, 0x82, 0x83, 0x8A
BULK_READ, BULK_WRITE = 0x92, 0x93

_STUFFED, _PLAIN = b"\xff\xff\xfd\xfd", b"\xff\xff\xfd"


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x8005 if crc & 0x8000 else crc << 1
        table.append(crc & 0xFFFF)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16(data: Iterable[int], crc: int = 0) -> int:
    """CRC-16/BUYPASS (polynomial 0x8005, high bit first) of `data`, going on from `crc`."""
    table = _CRC_TABLE
    for byte in data:
        crc = ((crc << 8) & 0xFF00) ^ table[(crc >> 8) ^ byte]
    return crc


def packet(servo_id: int, body: bytes) -> bytes:
    """The packet that carries `body` (instruction and parameters, not yet stuffed)."""
    if _PLAIN in body:
        body = body.replace(_PLAIN, _STUFFED)
    length = len(body) + 2
    framed = HEADER + bytes((servo_id, length & 0xFF, length >> 8)) + body
    return framed + crc16(framed).to_bytes(2, "little")


def instruction(servo_id: int, code: int, parameters: bytes = b"") -> bytes:
    """An instruction packet."""
    return packet(servo_id, bytes((code,)) + parameters)


def status(servo_id: int, error: int, parameters: bytes = b"") -> bytes:
    """A status packet."""
    return packet(servo_id, bytes((STATUS, error)) + parameters)


class Frame(NamedTuple):
    """A packet found on the line: `body` is unstuffed; `intact` tells whether the CRC matches.

    It stood at start … end of the buffer.
    """

    id: int
    body: bytes
    intact: bool
    start: int
    end: int


def scan(buffer: bytes) -> tuple[list[Frame], bytes]:
    """Finds the packets in `buffer`; returns them and the tail from which a packet may still grow.

    Resynchronises on FF FF FD 00: noise is skipped, and a packet that was cut short ends where the
    next one starts.
    """
    frames: list[Frame] = []
    size = len(buffer)
    start = buffer.find(HEADER)
    while start >= 0:
        if size - start < 7:
            return frames, buffer[start:]
        length = buffer[start + 5] | buffer[start + 6] << 8
        end = start + 7 + length
        if not 3 <= length <= MAX_LENGTH:
            start = buffer.find(HEADER, start + 4)
            continue
        next_header = buffer.find(HEADER, start + 4, end - 2)
        if next_header >= 0:
            start = next_header
            continue
        if end > size:
            return frames, buffer[start:]
        body = buffer[start + 7 : end - 2]
        crc = buffer[end - 2] | buffer[end - 1] << 8
        intact = crc16(buffer[start : end - 2]) == crc
        if _STUFFED in body:
            body = body.replace(_STUFFED, _PLAIN)
        frames.append(Frame(buffer[start + 4], body, intact, start, end))
        start = buffer.find(HEADER, end if intact else start + 4)
    return frames, buffer[-3:]

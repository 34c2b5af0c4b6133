"""How many cycles a second a serial line can carry, from the bytes of its packets.

Protocol 2.0 (ROBOTIS e-manual): header 4, ID 1, length 2, instruction 1, parameters, CRC 2; a
status packet has an error byte more. Ten bits a byte (8N1), half duplex, no pause anywhere: what no
host can pass. Byte stuffing would only add to it.
"""

from dataclasses import dataclass

BITS_PER_BYTE = 10
ADDRESSED, ALL = 7, 9
"""Servos of an ALOHA arm that are addressed in each cycle; with their shadows."""

STATE, GOAL = 10, 4
"""Bytes read (126 … 135: current, velocity, position) and written (goal position) per servo."""

WATCH_WINDOWS = (7, 21, 7, 1)
"""Bytes per servo of successive slow looks: torque … hardware error (64), states to temperature
(126), the first again, Bus Watchdog (98)."""

WATCH_HZ = 20.0


def sync_read_bytes(servos: int, size: int) -> int:
    """A sync read of `size` bytes from each of `servos`: request and answers."""
    request = 4 + 1 + 2 + 1 + 4 + servos + 2
    answer = 4 + 1 + 2 + 1 + 1 + size + 2
    return request + servos * answer


def sync_write_bytes(servos: int, size: int) -> int:
    """A sync write of `size` bytes to each of `servos`; nobody answers."""
    return 4 + 1 + 2 + 1 + 4 + servos * (1 + size) + 2


@dataclass(frozen=True)
class WireLimit:
    """What one arm's line carries at `baud`."""

    baud: int = 1_000_000

    @property
    def byte_s(self) -> float:
        return BITS_PER_BYTE / self.baud

    @property
    def cycle_s(self) -> float:
        """One reading and one writing of the seven addressed servos, s on the wire."""
        return (sync_read_bytes(ADDRESSED, STATE) + sync_write_bytes(ADDRESSED, GOAL)) * self.byte_s

    @property
    def watch_s(self) -> float:
        """One slow look at all nine, s on the wire, on the average of the windows."""
        sizes = [sync_read_bytes(ALL, size) for size in WATCH_WINDOWS]
        return sum(sizes) / len(sizes) * self.byte_s

    def cycles_hz(self, watch_hz: float = WATCH_HZ) -> float:
        """Cycles a second, back to back, with so many slow looks a second in between."""
        return (1.0 - watch_hz * self.watch_s) / self.cycle_s

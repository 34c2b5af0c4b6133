"""Two programs at the host's end of an arm's line, doing the same work: ours, and the stock SDK's.

Each cycle reads current, velocity and position of the seven addressed servos and writes their
goals; a slow look asks all nine for the registers of wire_limit.WATCH_WINDOWS, in turns.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Protocol

import numpy as np
from dynamixel_sdk import (
    COMM_SUCCESS,
    GroupSyncRead,
    GroupSyncWrite,
    PacketHandler,
    PortHandler,
)

from aloha_stack.bench.wire_limit import GOAL, STATE, WATCH_HZ, WATCH_WINDOWS
from aloha_stack.dynamixel import units
from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import JOINTS

GOAL_ADDRESS, STATE_ADDRESS = 116, 126
WATCH_ADDRESSES = (64, 126, 64, 98)

SWING_RAD, SWING_S = 0.2, 4.0
"""The joints swing by so much about their start pose: what moves has bytes that change."""


class Host(Protocol):
    """One end of the line, open for as long as it is used."""

    def read(self) -> int:
        """One reading; how many of the seven addressed servos gave a good answer."""

    def write(self, goals: np.ndarray) -> None:
        """Goals (7,) rad."""

    def watch(self) -> None:
        """A slow look at all nine servos."""

    def close(self) -> None: ...


class BusHost:
    """The project's own bus, as the bridges use it."""

    def __init__(self, arm: Arm) -> None:
        self._bus = DynamixelBus(arm)
        self._bus.open()

    def read(self) -> int:
        return len(JOINTS) - len(self._bus.read().missing)

    def write(self, goals: np.ndarray) -> None:
        self._bus.write_goals(goals)

    def watch(self) -> None:
        self._bus.watch()

    def close(self) -> None:
        self._bus.close()


class StockHost:
    """dynamixel_sdk as its examples use it: PortHandler, GroupSyncRead, GroupSyncWrite."""

    def __init__(self, arm: Arm) -> None:
        self._arm, self._port, handler = arm, PortHandler(arm.port), PacketHandler(2.0)
        self._ids = [servo.id for servo in arm.addressed]
        self._port.openPort()
        self._port.setBaudRate(arm.baud)
        self._read = GroupSyncRead(self._port, handler, STATE_ADDRESS, STATE)
        self._write = GroupSyncWrite(self._port, handler, GOAL_ADDRESS, GOAL)
        for servo_id in self._ids:
            self._read.addParam(servo_id)
        windows = zip(WATCH_ADDRESSES, WATCH_WINDOWS, strict=True)
        self._windows = [GroupSyncRead(self._port, handler, *window) for window in windows]
        for window in self._windows:
            for servo in arm.servos:
                window.addParam(servo.id)
        self._turn = cycle(self._windows)

    def read(self) -> int:
        if self._read.txRxPacket() != COMM_SUCCESS:
            return 0
        try:
            raw = [[self._read.getData(i, *where) for where in _STATE] for i in self._ids]
        except IndexError:  # the SDK has taken a late answer to a slow look for this one
            return 0
        units.ticks_to_rad(np.array(raw, dtype=np.float64)[:, 2])
        return len(raw)

    def write(self, goals: np.ndarray) -> None:
        self._write.clearParam()
        for servo_id, ticks in zip(self._ids, units.rad_to_ticks(goals).tolist(), strict=True):
            self._write.addParam(servo_id, ticks.to_bytes(4, "little", signed=True))
        self._write.txPacket()

    def watch(self) -> None:
        next(self._turn).txRxPacket()

    def close(self) -> None:
        self._port.closePort()


_STATE = ((126, 2), (128, 4), (132, 4))

HOSTS: dict[str, Callable[[Arm], Host]] = {"aloha": BusHost, "stock": StockHost}


@dataclass
class Load:
    """What a host's reading, writing and looking took, in one thread."""

    cycles: int = 0
    complete: int = 0
    cpu_s: float = 0.0
    durations_s: list[float] = field(default_factory=list)
    """Wall time of each cycle."""


class Work:
    """The cycles of one host: reads, writes a swinging goal, looks around at WATCH_HZ."""

    def __init__(self, arm: Arm, host: Host) -> None:
        self.load = Load()
        self._host, self._centre = host, arm.start_pose
        self._watch_s = self._began_s = time.monotonic()

    def cycle(self) -> bool:
        """One cycle; whether all seven servos answered."""
        load, now_s = self.load, time.monotonic()
        swing = SWING_RAD * math.sin((now_s - self._began_s) * 2 * math.pi / SWING_S)
        goals = self._centre + swing  # before the reading: what is measured is the bus
        began_s, cpu_s = time.perf_counter(), time.thread_time()
        complete = self._host.read() == len(JOINTS)
        self._host.write(goals)
        if now_s - self._watch_s >= 1 / WATCH_HZ:
            self._watch_s = max(self._watch_s + 1 / WATCH_HZ, now_s - 1 / WATCH_HZ)
            self._host.watch()
        load.cycles += 1
        load.complete += complete
        load.cpu_s += time.thread_time() - cpu_s
        load.durations_s.append(time.perf_counter() - began_s)
        return complete


@contextmanager
def working(arm: Arm, kind: str) -> Iterator[Work]:
    """A host of this kind on the arm's line, which it gives back at the end."""
    host = HOSTS[kind](arm)
    try:
        yield Work(arm, host)
    finally:
        host.close()


def prepare(arm: Arm) -> None:
    """Sets the servos up as a bridge would, and gives them torque: their joints then move."""
    bus = DynamixelBus(arm)
    bus.open()
    try:
        bus.check()
        bus.configure()
        bus.set_torque(True)
    finally:
        bus.close()

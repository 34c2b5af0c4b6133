"""The rows of the health list: /diagnostics, and the nodes' own voices where those fall silent."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from aloha_stack.nodes._operator_known import Voice
from aloha_stack.robot.description import Robot
from rqt_aloha.views import HealthRow

if TYPE_CHECKING:
    from rqt_aloha.hearing import Hearing

STALE_S, FORGOTTEN_S = 3.5, 300.0
"""Steady time after which a status is stale (they come once a second), and is not shown at all."""
MOST = 200
"""Statuses that are kept; names beyond that are not heard."""

LEVELS = {
    DiagnosticStatus.OK: "ok",
    DiagnosticStatus.WARN: "warn",
    DiagnosticStatus.ERROR: "error",
    DiagnosticStatus.STALE: "stale",
}
BRIDGE, CAMERA = "{}: bridge", "cameras/{}"


class Health:
    """Keeps the last status of each name, and when it came."""

    def __init__(self, robot: Robot) -> None:
        self._expected = [BRIDGE.format(arm) for arm in robot.arms]
        self._expected += [CAMERA.format(c.name) for c in robot.cameras.values() if not c.foreign]
        self._heard: dict[str, tuple[DiagnosticStatus, float]] = {}

    def hear(self, message: DiagnosticArray) -> None:
        now_s = time.monotonic()
        for status in message.status:
            if status.name in self._heard or len(self._heard) < MOST:
                self._heard[status.name] = status, now_s

    def rows(self, hearing: "Hearing") -> tuple[HealthRow, ...]:
        """By name; the nodes first, then what is expected and what else was heard."""
        now_s = time.monotonic()
        self._heard = {
            name: known for name, known in self._heard.items() if now_s - known[1] < FORGOTTEN_S
        }
        names = sorted({*self._expected, *self._heard})
        return (*_nodes(hearing), *(self._row(name, now_s) for name in names))

    def _row(self, name: str, now_s: float) -> HealthRow:
        known = self._heard.get(name)
        if known is None:
            return HealthRow(name, "stale", "missing")
        status, heard_s = known
        age_s = now_s - heard_s
        if age_s > STALE_S:
            return HealthRow(name, "stale", f"silent for {age_s:.0f} s")
        level = LEVELS.get(status.level, "error")
        values = tuple((value.key, value.value) for value in status.values)
        if not values and level == "ok":
            return HealthRow(name, "warn", f"{status.message or 'no words'} (no values told)")
        return HealthRow(name, level, status.message or "no words", values)

    def camera_rate(self, camera: str) -> str:
        """What the camera node measures, in words; empty if it is not known now."""
        row = self._row(CAMERA.format(camera), time.monotonic())
        rate = dict(row.values).get("rate (Hz)", "")
        return f"{rate} Hz" if rate not in ("", "unknown") else ""


def _nodes(hearing: "Hearing") -> Iterator[HealthRow]:
    """The nodes as the monitor knows them; without a monitor those whose states are heard here: of
    these only safety must be there, of the others silence is told once they have spoken."""
    summary = hearing.summary.now
    if summary is not None:
        for node in summary.nodes:
            level = "stale" if node.stale else _level(node.level)
            yield HealthRow(f"nodes/{node.name}", level, node.reason or node.state)
        return
    if hearing.summary.message is not None:
        yield HealthRow("nodes/monitor", "stale", hearing.summary.absence)
    voices: dict[str, Voice[Any]] = {
        "safety": hearing.safety,
        "teleop": hearing.teleop,
        "recorder": hearing.recorder,
        "policy": hearing.policy,
        "chunk_player": hearing.player,
    }
    for name, voice in voices.items():
        if voice.now is not None:
            yield HealthRow(f"nodes/{name}", "ok", "speaks")
        elif name == "safety" or voice.message is not None:
            yield HealthRow(f"nodes/{name}", "stale", voice.absence)


def _level(number: int) -> str:
    """In a summary levels are numbers, in a status bytes."""
    return LEVELS.get(bytes([number]), "error")

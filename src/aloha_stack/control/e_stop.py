"""The e-stop of the whole robot: one latch, and who has acknowledged it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from aloha_stack.control.arm_modes import Mode

GONE_S = 2.0
"""Steady time without a report after which an arm counts as gone; bridges report twice a second."""

_STOPPED = frozenset({Mode.E_STOPPED})
_LIMP = frozenset({Mode.E_STOPPED, Mode.BACK_DRIVEN, Mode.INACTIVE})
_AT_REST = frozenset({Mode.INACTIVE, Mode.E_STOPPED, Mode.FAULT})


@dataclass(frozen=True)
class ArmReport:
    """What an arm said last: its mode, the reason, and when (steady s)."""

    mode: Mode
    reason: str
    steady_s: float


class EmergencyStop:
    """Latches on request, or when any arm has stopped by its own e-stop; keeps the first cause.

    `arms` maps the names of all arms to whether they are leaders: those have no torque, so that
    being moved by hand acknowledges. An arm that was stopped at a reset may go on saying so for
    GONE_S, until it has heard of the reset: that does not latch again, unless its cause is another.
    """

    def __init__(self, arms: Mapping[str, bool]) -> None:
        self.arms = dict(arms)
        self.cause = ""
        self._reports: dict[str, ArmReport] = {}
        self._leaving: dict[str, str] = {}
        """The arms that have not yet left the e-stop that was reset, and the cause they tell."""
        self._reset_s = 0.0

    @property
    def stopped(self) -> bool:
        return bool(self.cause)

    def trip(self, cause: str) -> None:
        self.cause = self.cause or cause
        self._leaving.clear()

    def hear(self, arm: str, report: ArmReport) -> None:
        """A status of one arm."""
        self._reports[arm] = report
        if report.mode != Mode.E_STOPPED:
            self._leaving.pop(arm, None)
            return
        late = report.steady_s - self._reset_s > GONE_S
        if late or self._leaving.get(arm) != report.reason:
            self.trip(report.reason or f"{arm} has stopped by itself")

    def reset(self, steady_s: float) -> None:
        self.cause, self._reset_s = "", steady_s
        self._leaving = {
            arm: report.reason
            for arm, report in self._reports.items()
            if report.mode == Mode.E_STOPPED
        }

    def pending(self, steady_s: float) -> dict[str, str]:
        """The arms that have not acknowledged, and what they do instead."""
        waiting = {}
        for arm, is_leader in self.arms.items():
            report = self._reports.get(arm)
            if report is None or steady_s - report.steady_s > GONE_S:
                waiting[arm] = "gone: no status"
            elif report.mode not in (_LIMP if is_leader else _STOPPED):
                waiting[arm] = report.mode.name.lower()
        return waiting

    def leaving(self, steady_s: float) -> set[str]:
        """The arms that are there, and have not yet left the e-stop that was reset."""
        return {a for a in self._leaving if steady_s - self._reports[a].steady_s <= GONE_S}

    def unheard(self) -> set[str]:
        """The arms that have never said anything."""
        return set(self.arms) - set(self._reports)

    def ages_s(self, steady_s: float) -> dict[str, float]:
        """How old each arm's last report is; infinite before the first."""
        heard = {arm: report.steady_s for arm, report in self._reports.items()}
        return {arm: steady_s - heard.get(arm, -math.inf) for arm in self.arms}

    def alone(self, steady_s: float) -> bool:
        """Whether no arm is there: none has spoken yet, or all are gone."""
        return all(steady_s - r.steady_s > GONE_S for r in self._reports.values())

    def moving(self, steady_s: float) -> set[str]:
        """The followers that are there and may still move: they need the heartbeat to go on."""
        return {
            arm
            for arm, report in self._reports.items()
            if not self.arms[arm]
            and report.mode not in _AT_REST
            and steady_s - report.steady_s <= GONE_S
        }

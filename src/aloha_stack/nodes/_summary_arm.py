"""One arm's part of a RobotSummary, and the fault that it had last."""

import math
import time
from typing import Any

from aloha_interfaces.msg import ArmStatus, ArmSummary, RobotSummary

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.commands import lacks_only_commands
from aloha_stack.nodes._conversions import read_mode, stamp_ns
from aloha_stack.nodes._heard import Pace, Voice
from aloha_stack.nodes._summary_parts import UNKNOWN, Statuses, blank, number_in, worst

WRONG = {Mode.FAULT: RobotSummary.ERROR, Mode.E_STOPPED: RobotSummary.ERROR}


class ArmWatch:
    """Hears one arm's status and the commands on its topic."""

    def __init__(self, arm: str, stale_s: float) -> None:
        self.arm = arm
        self.status = Voice[ArmStatus](stale_s)
        self.command = Voice[Any](math.inf)
        self._pace = Pace()
        self._fault, self._fault_s = "", math.nan

    def hear_status(self, message: ArmStatus) -> None:
        """Each one that comes."""
        self.status.hear(message)
        self._pace.saw(message.cycles, stamp_ns(message.header.stamp) * 1e-9)

    def part(self, statuses: Statuses) -> ArmSummary:
        """As things are now."""
        mine = {n: one for n, one in statuses.items() if n.startswith(f"{self.arm}: ")}
        part, status = blank(ArmSummary, self.status), self.status.now
        part.name = self.arm
        if self.command.message is not None:
            part.command_age = self.command.age_s
        if status is not None:
            self._fill(part, status, *worst(mine.values()))
        temperatures = {n: number_in(one, "temperature (C)") for n, one in mine.items()}
        hot = {n: t for n, t in temperatures.items() if not math.isnan(t)}
        part.hottest = UNKNOWN
        if hot:
            name = max(hot, key=hot.__getitem__)
            part.hottest, part.temperature = name.partition(": ")[2], hot[name]
        voltages = [number_in(one, "voltage (V)") for one in mine.values()]
        part.voltage = min((v for v in voltages if not math.isnan(v)), default=math.nan)
        self._remember(part)
        return part

    def _fill(self, part: ArmSummary, status: ArmStatus, level: int, words: str) -> None:
        mode = read_mode(status.mode)
        part.stale, part.mode, part.state = False, int(mode), mode.name.lower()
        holds = mode == Mode.HOLDING and not lacks_only_commands(status.reason)
        own = WRONG.get(mode, RobotSummary.WARN if holds else RobotSummary.OK)
        part.level, part.reason = max(level, own), status.reason if own >= level else words
        part.reason = part.reason or status.reason
        part.torque = ArmSummary.YES if status.torque else ArmSummary.NO
        part.read_age = status.read_age if math.isfinite(status.read_age) else math.nan
        part.rate = self._pace.hz
        part.overruns, part.failed_reads = float(status.overruns), float(status.failed_reads)
        part.rejected_commands = float(status.rejected_commands)
        part.clamped_commands = float(status.clamped_commands)

    def _remember(self, part: ArmSummary) -> None:
        now_s = time.monotonic()
        if part.level != RobotSummary.OK and self.status.message is not None:
            self._fault, self._fault_s = part.reason or part.state, now_s
        part.last_fault, part.last_fault_age = self._fault, now_s - self._fault_s

"""What is known of an arm's servos and of its bus, and what of it keeps the arm from moving."""

import math
from collections.abc import Collection, Iterable, Mapping

from aloha_stack.control.arm_modes import Health, Settings
from aloha_stack.control.bus_pace import BusPace
from aloha_stack.dynamixel.arm_bus import BusState, ServoHealth
from aloha_stack.dynamixel.words import call
from aloha_stack.robot.description import Arm
from aloha_stack.robot.servos import WARM_C

MISSED_LOOKS = 2
"""A servo that misses so many looks in a row is silent; one may be lost to noise."""
LOOKS_UNTIL_FRESH = 4
"""After so many looks nothing is left of what was known before."""


class ArmHealth:
    """Told of every reading and every look; tells what is wrong, in words, with what to do.

    `servos` is the last look at all nine, by ID. `unsure` holds the servos that were silent for a
    while, and may have restarted; `unheld` says why an arm has to be held anew before it may move;
    `remark` is what else its operator should know.
    """

    def __init__(self, arm: Arm, settings: Settings) -> None:
        self.arm, self.settings = arm, settings
        self.pace = BusPace(settings.period_s)
        self.latency_ms: int | None = None
        self._addressed = [servo.id for servo in arm.addressed]
        self.forget()

    def forget(self) -> None:
        """Nothing is known: a new connection."""
        self.servos: Mapping[int, ServoHealth] = {}
        self.unsure: set[int] = set()
        self.remark = ""
        self.pace.slow = False
        self._read_s: float | None = None
        self._heard_s: dict[int, float] = {}
        self._silent: tuple[int, ...] = ()
        self._damaged: set[int] = set()
        self._answers_late = False
        self.start_anew()

    def start_anew(self) -> None:
        """The servos were brought back, or taken hold of: nothing from before is held against them,
        but that they were silent."""
        self.unheld = ""
        self.pace.clear()
        self._alert: set[int] = set()
        self._limp: set[int] = set()
        self._missed: dict[int, int] = {}
        self._looks = 0

    # -- what comes in ----------------------------------------------------------------------

    def saw(self, state: BusState, now_s: float) -> None:
        """A reading at ROS time `now_s`."""
        self._alert = set(state.alert)
        self._silent, self._answers_late = state.missing, state.late
        if state.complete:
            self._read_s = now_s
            self._damaged.clear()
            return
        self._heard_s.update((i, now_s) for i in self._addressed if i not in state.missing)
        self._damaged.update(state.damaged)
        if not state.late:  # a silent servo is waited for; the line is none the slower
            self.pace.clear()

    def looked(self, servos: Mapping[int, ServoHealth], now_s: float) -> None:
        """A look at all nine at ROS time `now_s`."""
        self.servos = servos
        self._looks += 1
        for servo_id, servo in servos.items():
            if servo.answered:
                self._missed[servo_id], self._heard_s[servo_id] = 0, now_s
            else:
                self._missed[servo_id] = self._missed.get(servo_id, 0) + 1
        self.unsure.update(self.missed)
        if self._fresh:
            self.learn_torque({i: s.torque for i, s in servos.items() if s.torque is not None})

    def learn_torque(self, torque: Mapping[int, bool]) -> None:
        """Whether servos have torque, by ID."""
        self._limp -= {i for i, on in torque.items() if on}
        self._limp |= {i for i, on in torque.items() if not on}

    def clock_jumped(self) -> None:
        """What was read before has no age any more."""
        self._read_s = None
        self._heard_s.clear()
        self.pace.clear()

    # -- findings ---------------------------------------------------------------------------

    def read_age_s(self, now_s: float) -> float:
        """Since the last complete reading; infinite before the first."""
        return float("inf") if self._read_s is None else max(0.0, now_s - self._read_s)

    def age_s(self, servo_id: int, now_s: float) -> float:
        """Since this servo's last answer; infinite before the first."""
        heard = [self._heard_s.get(servo_id)]
        if servo_id in self._addressed:
            heard.append(self._read_s)
        return now_s - max((s for s in heard if s is not None), default=-math.inf)

    @property
    def missed(self) -> tuple[int, ...]:
        """The servos, shadows too, that have missed the last looks."""
        return tuple(i for i, times in self._missed.items() if times >= MISSED_LOOKS)

    def silent(self, now_s: float) -> set[int]:
        """The servos that have not answered for too long, to readings or to looks."""
        return {*self.missed, *(self._silent if self._late(now_s) else ())}

    @property
    def errors(self) -> dict[int, tuple[str, ...]]:
        """The servos in hardware error, by ID, and what it is in words."""
        told = dict.fromkeys(self._alert, ("kind not yet read",))
        known = {i: s.hardware_error for i, s in self.servos.items() if s.hardware_error}
        return told | {i: words for i, words in known.items() if self._fresh or i in told}

    @property
    def limp(self) -> tuple[int, ...]:
        """The servos that are known to have no torque."""
        return tuple(sorted(self._limp))

    @property
    def tripped(self) -> tuple[int, ...]:
        """The servos whose Bus Watchdog has tripped: they take no goals."""
        if not self._fresh:
            return ()
        return tuple(i for i, servo in self.servos.items() if servo.watchdog_tripped)

    def found(self, now_s: float, held: bool) -> Health:
        """What is wrong now with an arm that is `held` by its servos, or is not."""
        return Health(self._sick(now_s, held), self._slow(), self.remark if held else "")

    def names(self, ids: Iterable[int]) -> str:
        """The servos in words."""
        return call(self.arm, *sorted(ids))

    # -- parts ------------------------------------------------------------------------------

    @property
    def _fresh(self) -> bool:
        return self._looks >= LOOKS_UNTIL_FRESH

    def _late(self, now_s: float) -> bool:
        return self.read_age_s(now_s) > self.settings.max_read_age_s

    def _sick(self, now_s: float, held: bool) -> str:
        if errors := self.errors:
            words = "; ".join(f"{self.names([i])} {self._error(i)}" for i in sorted(errors))
            return f"hardware error: {words}; mend its cause and call /{self.arm.name}/reboot"
        if held and self._limp:
            return self.limp_words(self._limp)
        if self.pace.slow and self._answers_late:
            return ""  # slowness is what is wrong, not the silence that it looks like
        silent = self.silent(now_s)
        if damaged := self._damaged & silent:
            return (
                f"the answers of {self.names(damaged)} are damaged: noise on the line, a bad "
                "connector, or two servos with this ID"
            )
        if len(silent) >= len(self._addressed):
            return "no servo answers; check the arm's power, and the cable to its first servo"
        if silent:
            verb = "does" if len(silent) == 1 else "do"
            return f"{self.names(silent)} {verb} not answer; check the cables and the power"
        return self.unheld if held else ""

    def _error(self, servo_id: int) -> str:
        """What hardware error a servo has, and what it measures of its cause."""
        known = self.servos.get(servo_id, ServoHealth())
        measured = {}
        if known.temperature_c >= WARM_C:
            measured["overheating"] = f" ({known.temperature_c:.0f} degrees C; let it cool down)"
        if not math.isnan(known.voltage_v):
            measured["input voltage out of range"] = f" ({known.voltage_v:.1f} V)"
        return ", ".join(word + measured.get(word, "") for word in self.errors[servo_id])

    def limp_words(self, among: Collection[int]) -> str:
        """Which of these have no torque where there should be some, and what to do."""
        limp = self._limp & set(among)
        lost = "has lost its torque" if len(limp) == 1 else "have lost their torque"
        return (
            f"{self.names(limp)} {lost}: restarted, or switched off; mend the power and call "
            f"/{self.arm.name}/reboot"
        )

    def _slow(self) -> str:
        if not self.pace.slow:
            return ""
        timer = "" if self.latency_ms is None else f" ({self.latency_ms} ms found, 1 is right)"
        return (
            f"the bus is slow: a cycle takes {1000 * self.pace.mean_s:.0f} ms, "
            f"{1000 * self.settings.period_s:.0f} are allowed; check the adapter's latency "
            f"timer{timer} and the baud rate"
        )

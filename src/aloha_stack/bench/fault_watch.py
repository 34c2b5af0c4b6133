"""One arm while a fault strikes it: when it is seen, what the operator does, when it is well."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from aloha_stack.bench.fault_cases import Case
from aloha_stack.bench.fault_tape import Motion, Tape, Word, measure

REACTION_S = 0.3
"""ROS time after a fault's own end that the operator takes to call what the arm asks for."""

AGAIN_S = 1.5
"""ROS time after which the operator calls once more, if that did not help."""

WELL_S = 0.6
"""ROS time for which an arm must have been well to have recovered."""

LIMIT_S = 12.0
"""ROS time after a fault's own end in which an arm must be well again."""

MOST_MOTION_RAD = 0.01


@dataclass(frozen=True)
class Outcome:
    """What came of one case on one arm. None: it was not seen, or did not become well again.

    `words` is what the operator reads, `recovery` what the operator called.
    """

    case: str
    arm: str
    servo: int
    detection_s: float | None
    detect_within_s: float
    words: str
    motion: Motion
    recovery: str
    recovery_s: float | None
    violations: tuple[str, ...] = ()
    limp: tuple[int, ...] = ()
    """Servos of a follower that have no torque when all is said to be well."""

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, in words; empty if nothing is."""
        seen, motion = self.detection_s, self.motion
        found = {
            "not seen": seen is None,
            f"seen after {seen or 0:.2f} s": seen is not None and seen > self.detect_within_s,
            f"goals moved it by {motion.goals:.3f} rad": motion.goals > MOST_MOTION_RAD,
            f"it moved by {motion.joints:.3f} rad": motion.joints > MOST_MOTION_RAD,
            f"positions off by {motion.invented:.3f} rad": motion.invented > 0.0,
            "not recovered": self.recovery_s is None,
            f"servos {', '.join(map(str, self.limp))} were left limp": bool(self.limp),
            f"on the wire: {'; '.join(self.violations[:1])}": bool(self.violations),
        }
        return tuple(words for words, wrong in found.items() if wrong)


class Watch:
    """Of `arm`, struck by `case` at model time `struck_s`; `call` calls one of its services."""

    def __init__(
        self, case: Case, arm: str, tape: Tape, struck_s: float, call: Callable[[str], None]
    ) -> None:
        self._case, self.arm, self._tape, self._call = case, arm, tape, call
        self._struck_s, self._over_s = struck_s, struck_s + case.duration_s
        self._calls: list[tuple[float, str]] = []

    def mend(self, now_s: float) -> None:
        """Calls what the arm asks for, a moment after the fault itself is over."""
        words = self._words()
        latest_s = self._calls[-1][0] + AGAIN_S if self._calls else self._over_s + REACTION_S
        if now_s < latest_s or not words or words[-1].well:
            return
        for service in ("adopt", "reboot"):
            if f"/{self.arm}/{service}" in words[-1].reason:
                self._calls.append((now_s, service))
                self._call(service)
                return

    def over(self, now_s: float) -> bool:
        """Whether the arm is well again for good, or has had its time."""
        if now_s - self._over_s > LIMIT_S:
            return True
        well_s = self._well_since()
        return well_s is not None and now_s - max(well_s, self._over_s + REACTION_S) > WELL_S

    def outcome(self, violations: tuple[str, ...], limp: tuple[int, ...]) -> Outcome:
        """What came of it; `violations` and `limp` as the wire and the servos have them."""
        well_s = self._well_since()
        mended_s = self._calls[0][0] if self._calls else self._over_s
        detection_s, words = self._seen()
        return Outcome(
            case=self._case.name,
            arm=self.arm,
            servo=self._case.fault(self.arm).servo,
            detection_s=detection_s,
            detect_within_s=self._case.detect_s,
            words=words,
            motion=measure(self._tape, self._struck_s),
            recovery=" + ".join(dict.fromkeys(f"/{name}" for _, name in self._calls))
            or "by itself",
            recovery_s=None if well_s is None else max(0.0, well_s - mended_s),
            violations=violations,
            limp=limp,
        )

    def _words(self) -> list[Word]:
        return [word for word in tuple(self._tape.words) if word.time_s >= self._struck_s]

    def _well_since(self) -> float | None:
        """Since when the arm has been well; None if it is not, or has said nothing."""
        since: float | None = None
        for word in self._words():
            if not word.well:
                since = None
            elif since is None:
                since = word.time_s
        return since

    def _seen(self) -> tuple[float | None, str]:
        """After how long the operator could see it, and what there was to read the longest."""
        before = [word for word in self._tape.words if word.time_s < self._struck_s]
        failed_before = before[-1].failed_reads if before else 0
        words = self._words()
        seen_s: float | None = None
        shown: dict[str, float] = {}
        for word, following in pairwise([*words, *words[-1:]]):
            missed = word.failed_reads - failed_before
            if word.well and missed <= 0:
                continue
            if seen_s is None:
                seen_s = word.time_s - self._struck_s
            if word.well:
                text = f"{missed} failed readings are counted"
            else:
                text = f"{word.mode}: {word.reason}"
            lasted_s = following.time_s - word.time_s
            # A count, or the way back, says less than a reason, however long it stands there.
            says_little = word.well or word.mode == "RAMPING"
            shown[text] = shown.get(text, 0.0) + lasted_s * (1e-3 if says_little else 1.0)
        return seen_s, max(shown, key=lambda text: shown[text], default="")

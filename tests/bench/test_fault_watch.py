"""One struck arm: when an operator sees it, what the operator calls, when it is well again."""

import pytest

from aloha_stack.bench.fault_cases import CASES, Case, chosen
from aloha_stack.bench.fault_tape import Motion, Tape, Word
from aloha_stack.bench.fault_watch import LIMIT_S, Outcome, Watch
from aloha_stack.twin.faults import FAULTS

ARM = "follower_left"
LIMP = f"servo 2 has lost its torque; call /{ARM}/reboot"


def watch(tape: Tape, duration_s: float = 0.0) -> tuple[Watch, list[str]]:
    """Struck at 10 s; and the list of the services that are called."""
    calls: list[str] = []
    case = Case("servo_reboot", {ARM: 2}, duration_s)
    tape.words.append(Word(9.9, True, "FOLLOWING", "", 3))
    return Watch(case, ARM, tape, 10.0, calls.append), calls


def well(time_s: float, failed: int = 3) -> Word:
    return Word(time_s, True, "FOLLOWING", "", failed)


def ill(time_s: float, reason: str = LIMP, mode: str = "HOLDING") -> Word:
    return Word(time_s, False, mode, reason, 3)


def outcome(watched: Watch) -> Outcome:
    tape_is_empty = pytest.MonkeyPatch()
    tape_is_empty.setattr("aloha_stack.bench.fault_watch.measure", lambda *_: Motion())
    try:
        return watched.outcome((), ())
    finally:
        tape_is_empty.undo()


def test_every_kind_of_fault_is_a_case() -> None:
    assert {case.kind for case in CASES} == set(FAULTS)
    for case in CASES:
        for arm in ("leader_left", "follower_right"):
            case.fault(arm)


def test_an_unknown_fault_is_refused_with_a_list() -> None:
    with pytest.raises(ValueError, match=r"no fault 'rust'; there is .*lost_reply"):
        chosen(["rust"])


def test_the_operator_calls_what_the_arm_asks_for_and_once_more_if_it_does_not_help() -> None:
    tape = Tape()
    watched, calls = watch(tape)
    tape.words.append(ill(10.1))
    watched.mend(10.1)
    assert calls == []
    watched.mend(10.4)
    watched.mend(10.5)
    assert calls == ["reboot"]
    watched.mend(12.0)
    assert calls == ["reboot", "reboot"]


def test_the_operator_waits_until_the_cause_is_gone() -> None:
    tape = Tape()
    watched, calls = watch(tape, duration_s=2.0)
    tape.words.append(ill(10.1))
    watched.mend(12.2)
    assert calls == []
    watched.mend(12.4)
    assert calls == ["reboot"]


def test_detection_and_recovery_are_timed_and_the_words_are_kept() -> None:
    tape = Tape()
    watched, _ = watch(tape)
    tape.words.append(ill(10.15))
    watched.mend(10.5)
    tape.words += [ill(11.0, "joining the commands", "RAMPING"), well(12.5)]
    assert not watched.over(12.6)
    assert watched.over(13.5)
    found = outcome(watched)
    assert found.detection_s == pytest.approx(0.15)
    assert found.recovery_s == pytest.approx(2.0)
    assert (found.recovery, found.words) == ("/reboot", f"HOLDING: {LIMP}")
    assert found.failures == ()


def test_a_counted_reading_is_seen_too() -> None:
    tape = Tape()
    watched, calls = watch(tape)
    tape.words += [well(10.05, 4), well(10.5, 4)]
    watched.mend(11.0)
    found = outcome(watched)
    assert found.detection_s == pytest.approx(0.05)
    assert (found.words, found.recovery, calls) == (
        "1 failed readings are counted",
        "by itself",
        [],
    )


def test_an_arm_that_says_nothing_or_stays_ill_fails() -> None:
    tape = Tape()
    watched, _ = watch(tape)
    tape.words.append(well(11.0))
    assert outcome(watched).failures == ("not seen",)
    tape.words.append(ill(11.5))
    assert watched.over(10.0 + LIMIT_S + 0.1)
    assert "not recovered" in outcome(watched).failures

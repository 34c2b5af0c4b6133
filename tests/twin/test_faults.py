"""Which faults there are, and which requests make no sense."""

import pytest

from aloha_stack.twin.faults import FAULTS, Fault, FaultError

NEEDS_A_SERVO = {
    "dead_servo", "duplicate_id", "overload", "overheating", "undervoltage", "servo_reboot",
}  # fmt: skip


def test_every_kind_is_told_in_a_line():
    assert len(FAULTS) == 13
    for kind, words in FAULTS.items():
        assert words
        assert "\n" not in words
        Fault(kind, servo=4 if kind in NEEDS_A_SERVO else 0)


def test_an_unknown_kind_is_answered_with_those_that_exist():
    with pytest.raises(FaultError, match=r"no fault 'gremlins'.*lost_reply.*slow_bus"):
        Fault("gremlins")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "dead_servo"}, "give its ID"),
        ({"kind": "brown_out", "servo": 3}, "give no servo"),
        ({"kind": "dead_servo", "servo": 3, "duration_s": -1.0}, "0 s or more"),
        ({"kind": "dead_servo", "servo": 3, "duration_s": float("nan")}, "0 s or more"),
        ({"kind": "unplugged", "duration_s": float("inf")}, "0 s or more"),
        ({"kind": "lost_reply", "duration_s": 1.0}, "give no duration"),
        ({"kind": "dead_servo", "servo": 3, "strength": 2.0}, "has no strength"),
        ({"kind": "crc_noise", "strength": 1.5}, r"strength must lie in 0 … 1"),
        ({"kind": "slow_bus", "strength": float("nan")}, "strength must lie in"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(given, words):
    with pytest.raises(FaultError, match=words):
        Fault(**given)


def test_no_strength_means_the_kinds_own():
    assert Fault("slow_bus").force == 10
    assert Fault("slow_bus", strength=3).force == 3
    assert Fault("lost_reply").force == 1

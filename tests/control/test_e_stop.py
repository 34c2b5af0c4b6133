"""The latch of the whole robot."""

import pytest

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.e_stop import ArmReport, EmergencyStop

ARMS = {"leader_left": True, "follower_left": False}


def report(mode: Mode, reason: str = "", steady_s: float = 10.0) -> ArmReport:
    return ArmReport(mode, reason, steady_s)


@pytest.fixture
def stop() -> EmergencyStop:
    return EmergencyStop(ARMS)


def test_it_latches_with_its_first_cause(stop: EmergencyStop) -> None:
    assert not stop.stopped
    stop.trip("operator")
    stop.trip("somebody else")
    assert stop.stopped
    assert stop.cause == "operator"


def test_every_arm_has_to_acknowledge(stop: EmergencyStop) -> None:
    stop.trip("operator")
    assert set(stop.pending(10.0)) == set(ARMS)
    stop.hear("leader_left", report(Mode.BACK_DRIVEN))
    stop.hear("follower_left", report(Mode.FOLLOWING))
    assert stop.pending(10.0) == {"follower_left": "following"}
    stop.hear("follower_left", report(Mode.E_STOPPED))
    assert stop.pending(10.0) == {}


def test_an_arm_that_is_gone_has_not_acknowledged(stop: EmergencyStop) -> None:
    stop.hear("leader_left", report(Mode.BACK_DRIVEN, steady_s=19.5))
    stop.hear("follower_left", report(Mode.E_STOPPED, steady_s=10.0))
    assert stop.pending(20.0) == {"follower_left": "gone: no status"}


def test_an_arm_that_stopped_by_itself_stops_all(stop: EmergencyStop) -> None:
    stop.hear("follower_left", report(Mode.E_STOPPED, "its own button"))
    assert stop.cause == "its own button"


def test_a_reset_is_not_undone_by_arms_that_have_not_heard_of_it(stop: EmergencyStop) -> None:
    stop.trip("operator")
    stop.hear("follower_left", report(Mode.E_STOPPED))
    stop.reset(10.0)
    stop.hear("follower_left", report(Mode.E_STOPPED))
    assert not stop.stopped
    assert stop.leaving(10.0) == {"follower_left"}
    stop.hear("follower_left", report(Mode.HOLDING))
    assert stop.leaving(10.0) == set()
    stop.hear("follower_left", report(Mode.E_STOPPED, "again"))
    assert stop.cause == "again"


@pytest.mark.parametrize(
    ("mode", "moving"),
    [(mode, mode not in (Mode.INACTIVE, Mode.E_STOPPED, Mode.FAULT)) for mode in Mode],
)
def test_a_follower_moves_until_it_says_that_it_rests(
    stop: EmergencyStop, mode: Mode, moving: bool
) -> None:
    assert stop.moving(10.0) == set()
    stop.hear("leader_left", report(Mode.BACK_DRIVEN))
    stop.hear("follower_left", report(mode))
    assert stop.moving(11.0) == ({"follower_left"} if moving else set())
    assert stop.moving(12.5) == set()


def test_it_is_alone_before_an_arm_has_spoken_and_when_all_are_gone(stop: EmergencyStop) -> None:
    assert stop.alone(10.0)
    stop.hear("leader_left", report(Mode.BACK_DRIVEN))
    assert not stop.alone(11.0)
    assert stop.alone(12.5)


def test_arms_that_never_spoke_are_known(stop: EmergencyStop) -> None:
    stop.hear("leader_left", report(Mode.BACK_DRIVEN))
    assert stop.unheard() == {"follower_left"}


@pytest.mark.parametrize(
    ("said", "steady_s"),
    [("its own button", 10.1), ("operator", 13.0)],  # another cause, or the same for too long
)
def test_an_arm_that_stops_while_the_reset_is_under_way_stops_all_again(
    stop: EmergencyStop, said: str, steady_s: float
) -> None:
    stop.trip("operator")
    stop.hear("follower_left", report(Mode.E_STOPPED, "operator"))
    stop.reset(10.0)
    stop.hear("follower_left", report(Mode.E_STOPPED, "operator"))
    assert not stop.stopped
    stop.hear("follower_left", report(Mode.E_STOPPED, said, steady_s))
    assert stop.cause == said

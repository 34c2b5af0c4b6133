"""The dead man's condition: who lets go gets the arm back gently, an e-stop takes it at once."""

import numpy as np
import pytest

from aloha_stack.control.dead_man import FALL_S, FRESH_S, QUICK_FALL_S, RISE_S, DeadMan
from aloha_stack.robot.description import load_robot

LIMITS = load_robot("twin", {"ALOHA_PORTS": "/ports"}).arm("leader_left").limits
STILL = np.zeros(7)
WELL = {"read_age_s": 0.01, "heartbeat": True, "e_stopped": False, "velocity": STILL}
CYCLE_S = 0.01


class Rig:
    """A dead man's condition at 100 Hz; `run` returns the shares, and checks that none jumps."""

    def __init__(self, presence_s: float = 5.0) -> None:
        self.man = DeadMan(LIMITS, presence_s)
        self.now_s = 1000.0

    def run(self, seconds: float, **changed: object) -> list[float]:
        shares = [self.man.share]
        for _ in range(round(seconds / CYCLE_S)):
            self.now_s += CYCLE_S
            shares.append(self.man.step(self.now_s, **{**WELL, **changed}))
        if not changed.get("e_stopped"):
            assert np.max(np.abs(np.diff(shares))) <= CYCLE_S / QUICK_FALL_S + 1e-9
        return shares

    def floating(self) -> "Rig":
        self.man.start(self.now_s)
        self.run(RISE_S + 0.1)
        assert (self.man.share, self.man.reason) == (1.0, "")
        return self


def test_nothing_is_given_before_it_is_asked_for():
    rig = Rig()
    assert set(rig.run(1.0)) == {0.0}
    assert "has not been asked for" in rig.man.reason


def test_a_sign_of_presence_alone_starts_nothing():
    rig = Rig()
    rig.man.renew(rig.now_s)
    assert set(rig.run(1.0)) == {0.0}


def test_it_rises_gently_once_asked_for():
    rig = Rig()
    rig.man.start(rig.now_s)
    shares = rig.run(RISE_S + CYCLE_S)
    assert np.max(np.diff(shares)) <= CYCLE_S / RISE_S + 1e-9
    assert shares[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("missing", "reason", "fall_s"),
    [
        ({"heartbeat": False}, "no heartbeat", FALL_S),
        ({"read_age_s": 2 * FRESH_S}, "last reading of the arm is older than 0.1 s", QUICK_FALL_S),
        ({"read_age_s": float("nan")}, "last reading", QUICK_FALL_S),
    ],
)
def test_what_goes_missing_lets_the_arm_down_and_may_come_back(missing, reason, fall_s):
    rig = Rig().floating()
    shares = rig.run(fall_s / 2, **missing)
    assert shares[-1] == pytest.approx(0.5, abs=0.05)
    assert reason in rig.man.reason
    rig.run(fall_s, **missing)
    assert rig.man.share == 0.0
    rig.run(RISE_S + 0.1)
    assert (rig.man.share, rig.man.reason) == (1.0, "")


def test_an_operator_who_gives_no_sign_gets_the_arm_back_gently():
    rig = Rig(presence_s=2.0).floating()
    rig.run(2.0 + FALL_S)
    assert rig.man.share == 0.0
    assert "no sign of the operator for" in rig.man.reason
    rig.man.renew(rig.now_s)
    rig.run(RISE_S + 0.1)
    assert rig.man.share == 1.0


def test_signs_of_presence_keep_the_arm_light():
    rig = Rig(presence_s=2.0).floating()
    for _ in range(5):
        rig.run(1.5)
        rig.man.renew(rig.now_s)
    assert rig.man.share == 1.0


def test_an_e_stop_takes_all_at_once_and_has_to_be_followed_by_a_request():
    rig = Rig().floating()
    assert rig.run(CYCLE_S, e_stopped=True)[-1] == 0.0
    assert "e-stop" in rig.man.reason
    rig.man.renew(rig.now_s)
    assert set(rig.run(1.0)) == {0.0}
    rig.floating()


def test_nothing_starts_while_the_e_stop_is_latched():
    rig = Rig()
    rig.man.start(rig.now_s)
    rig.run(0.5, e_stopped=True)
    assert set(rig.run(0.5)) == {0.0}


@pytest.mark.parametrize("speed", [-4.0, 4.0, float("nan")])
def test_a_joint_that_runs_away_ends_it_until_it_is_asked_for_anew(speed):
    rig = Rig().floating()
    velocity = STILL.copy()
    velocity[2] = speed
    rig.run(CYCLE_S, velocity=velocity)
    assert "elbow ran at" in rig.man.reason
    assert rig.run(QUICK_FALL_S + CYCLE_S)[-1] == 0.0
    rig.man.renew(rig.now_s)
    assert set(rig.run(1.0)) == {0.0}
    rig.floating()
    assert rig.run(FALL_S / 2, heartbeat=False)[-1] == pytest.approx(0.5, abs=0.05)


def test_a_hand_may_snap_the_handle_as_fast_as_it_likes():
    rig = Rig().floating()
    rig.run(0.5, velocity=np.array([0, 0, 0, 0, 0, 0, 20.0]))
    assert rig.man.share == 1.0


def test_the_operator_can_end_it_and_the_reason_stays():
    rig = Rig().floating()
    rig.man.stop("handed over to somebody else")
    rig.man.stop("the process ends")
    assert rig.run(FALL_S + 0.1)[-1] == 0.0
    rig.run(0.1, heartbeat=False)
    assert rig.man.reason == "handed over to somebody else"


def test_a_pause_of_the_caller_makes_no_jump():
    rig = Rig(presence_s=2.0).floating()
    rig.now_s += 30.0
    assert rig.man.step(rig.now_s, **WELL) > 0.9
    assert rig.run(FALL_S)[-1] == 0.0


@pytest.mark.parametrize("presence_s", [0.0, -1.0, 61.0, float("nan")])
def test_wrong_settings_are_refused(presence_s):
    with pytest.raises(ValueError, match="presence_s is"):
        DeadMan(LIMITS, presence_s)

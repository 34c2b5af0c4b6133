"""Teleoperation tick by tick: mapping, ramp, match, gesture, engagement, and what ends it."""

import numpy as np
import pytest

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.teleop import ArmView, Pair, Teleoperation, TeleopStage
from aloha_stack.robot.joints import ARMS, FOLLOWERS, LEADERS, leader_of
from control.arms import arm, robot

TICK_S = 0.02
PAIRS = tuple(Pair(arm(leader_of(name)), arm(name)) for name in FOLLOWERS)
OPEN, SQUEEZED = 0.2, -0.5


class Bench:
    """Leaders as told; followers that are where their targets are, unless they are stuck."""

    def __init__(self) -> None:
        self.teleop = Teleoperation(PAIRS)
        self.now_s = 50.0
        self.position = {name: robot().arms[name].rest_pose.copy() for name in ARMS}
        self.mode = {name: Mode.BACK_DRIVEN if name in LEADERS else Mode.HOLDING for name in ARMS}
        self.age = dict.fromkeys(ARMS, 0.01)
        self.status_age = dict.fromkeys(ARMS, 0.5)
        self.stuck: set[str] = set()
        self.e_stop = ""
        self.path: list[np.ndarray] = []
        self.targets: dict[str, np.ndarray] = {}

    def run(self, seconds: float) -> TeleopStage:
        for _ in range(round(seconds / TICK_S)):
            self.now_s += TICK_S
            views = {
                a: ArmView(self.position[a], self.age[a], self.mode[a], self.status_age[a])
                for a in ARMS
            }
            self.targets = self.teleop.tick(self.now_s, views, self.e_stop)
            moved = {name: p for name, p in self.targets.items() if name not in self.stuck}
            self.position.update(moved)
            if self.targets:
                self.path.append(self.targets["follower_left"])
        return self.teleop.stage

    def hands(self, gripper: float, offset: float = 0.0) -> None:
        for name in LEADERS:
            self.position[name] = arm(name).start_pose + offset
            self.position[name][-1] = gripper

    def engage(self) -> None:
        self.hands(OPEN)
        self.run(6.0)
        self.hands(SQUEEZED, 0.05)
        assert self.run(0.3) == TeleopStage.ENGAGED


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_arm_joints_map_one_to_one_and_the_gripper_by_its_opening() -> None:
    pair, position = PAIRS[0], np.array([0.1, -0.9, 1.0, 0.2, -0.3, 0.4, 0.0])
    leader, follower = pair.leader.gripper, pair.follower.gripper
    np.testing.assert_array_equal(pair.target(position)[:6], position[:6])
    for opening in (0.0, 0.5, 1.0):
        position[-1] = leader.unnormalise_joint(opening)
        assert follower.normalise_joint(pair.target(position)[-1]) == pytest.approx(opening)


def test_followers_go_gently_to_the_start_pose_first(bench: Bench) -> None:
    start = bench.position["follower_left"].copy()
    assert bench.run(TICK_S) == TeleopStage.RAMPING
    np.testing.assert_allclose(bench.targets["follower_left"], start, atol=1e-3)
    assert bench.run(6.0) == TeleopStage.MATCHING
    for name in FOLLOWERS:
        np.testing.assert_allclose(bench.targets[name], arm(name).start_pose, atol=1e-9)
    assert np.max(np.abs(np.diff(bench.path, axis=0))) <= 0.8 * TICK_S * 1.01


def test_it_engages_only_when_both_match_and_both_handles_are_squeezed(bench: Bench) -> None:
    bench.hands(SQUEEZED, 0.5)
    assert bench.run(6.0) == TeleopStage.MATCHING
    assert "leader_left is off by waist +0.50" in bench.teleop.reason
    assert "leader_right" in bench.teleop.reason
    bench.hands(OPEN, 0.05)
    assert bench.run(0.5) == TeleopStage.MATCHING
    assert "squeeze the gripper of leader_left and leader_right" in bench.teleop.reason
    bench.position["leader_left"][-1] = SQUEEZED
    assert bench.run(0.5) == TeleopStage.MATCHING
    assert "squeeze the gripper of leader_right" in bench.teleop.reason
    bench.position["leader_right"][-1] = SQUEEZED
    assert bench.run(0.05) == TeleopStage.MATCHING
    assert bench.run(0.2) == TeleopStage.ENGAGED


def test_nothing_jumps_at_engagement_and_then_the_leader_is_followed(bench: Bench) -> None:
    bench.engage()
    before = len(bench.path)
    bench.run(1.5)
    steps = np.abs(np.diff(bench.path, axis=0))
    assert steps[:, :6].max() < 0.02
    assert steps[before - 20 :, 6].max() < 0.05
    expected = PAIRS[0].target(bench.position["leader_left"])
    np.testing.assert_allclose(bench.targets["follower_left"], expected)


def test_stale_leaders_stop_the_targets_and_a_match_lets_them_go_on(bench: Bench) -> None:
    bench.engage()
    bench.run(1.0)
    bench.age["leader_right"] = 0.2
    assert bench.run(0.1) == TeleopStage.STOPPED
    assert bench.targets == {}
    assert bench.teleop.reason == "no joint states from leader_right"
    bench.age["leader_right"] = 0.01
    bench.position["leader_right"] = bench.position["leader_right"] + 0.1
    before = bench.position["follower_right"].copy()
    assert bench.run(TICK_S) == TeleopStage.ENGAGED
    np.testing.assert_allclose(bench.targets["follower_right"], before, atol=1e-3)
    bench.run(1.2)
    expected = PAIRS[1].target(bench.position["leader_right"])
    np.testing.assert_allclose(bench.targets["follower_right"], expected)


def test_stale_leaders_that_come_back_elsewhere_have_to_match_again(bench: Bench) -> None:
    bench.engage()
    bench.run(1.0)
    before = bench.position["follower_left"].copy()
    bench.age["leader_left"] = 0.2
    bench.run(0.1)
    bench.age["leader_left"] = 0.01
    bench.hands(OPEN, 0.6)
    assert bench.run(0.5) == TeleopStage.MATCHING
    np.testing.assert_array_equal(bench.targets["follower_left"], before)


def test_leaders_that_were_missing_for_long_do_not_go_on_by_themselves(bench: Bench) -> None:
    bench.engage()
    bench.run(1.0)
    bench.age["leader_left"] = 0.2
    bench.run(1.5)
    bench.age["leader_left"] = 0.01
    assert bench.run(0.5) == TeleopStage.MATCHING


def test_an_e_stop_ends_the_engagement_and_needs_a_new_match(bench: Bench) -> None:
    bench.engage()
    bench.run(1.0)
    bench.e_stop = "button"
    assert bench.run(0.1) == TeleopStage.WAITING
    assert bench.targets == {}
    assert bench.teleop.reason == "e-stop: button"
    bench.e_stop = ""
    bench.hands(OPEN, 0.05)
    before = bench.position["follower_left"].copy()
    assert bench.run(0.5) == TeleopStage.MATCHING
    np.testing.assert_array_equal(bench.targets["follower_left"], before)
    bench.hands(SQUEEZED, 0.05)
    assert bench.run(0.3) == TeleopStage.ENGAGED


@pytest.mark.parametrize("mode", [Mode.E_STOPPED, Mode.FAULT, Mode.PARKING, Mode.INACTIVE])
def test_a_follower_that_leaves_ends_the_engagement(bench: Bench, mode: Mode) -> None:
    bench.engage()
    bench.mode["follower_right"] = mode
    assert bench.run(0.1) == TeleopStage.WAITING
    assert bench.targets == {}
    assert bench.teleop.reason == f"follower_right is {mode.name.lower()}"


@pytest.mark.parametrize("mode", [Mode.E_STOPPED, Mode.FAULT, Mode.INACTIVE])
def test_a_leader_that_fails_ends_the_engagement_before_its_joint_states_are_stale(
    bench: Bench, mode: Mode
) -> None:
    bench.engage()
    bench.mode["leader_left"] = mode
    assert bench.run(TICK_S) == TeleopStage.WAITING
    assert bench.targets == {}
    assert bench.teleop.reason == f"leader_left is {mode.name.lower()}"
    bench.mode["leader_left"] = Mode.BACK_DRIVEN
    assert bench.run(1.0) == TeleopStage.MATCHING  # to be matched and squeezed anew


def test_a_follower_that_held_while_its_leader_moved_away_has_to_be_matched_anew(
    bench: Bench,
) -> None:
    bench.engage()
    bench.run(1.2)
    stays = bench.position["follower_left"].copy()
    bench.stuck = {"follower_left"}
    bench.hands(SQUEEZED, 0.6)
    assert bench.run(0.4) == TeleopStage.ENGAGED
    while bench.teleop.stage == TeleopStage.ENGAGED:
        assert bench.run(TICK_S) == TeleopStage.ENGAGED or bench.targets == {}
        assert bench.now_s < 100
    why = "disengaged: follower_left held while its leader moved away"
    assert (bench.teleop.stage, bench.teleop.reason) == (TeleopStage.WAITING, why)
    assert bench.run(0.1) == TeleopStage.MATCHING
    assert "leader_left is off by" in bench.teleop.reason
    assert why in bench.teleop.reason
    bench.stuck = set()
    assert bench.run(5.0) == TeleopStage.MATCHING
    np.testing.assert_array_equal(bench.position["follower_left"], stays)
    bench.hands(SQUEEZED, 0.05)
    assert bench.run(1.0) == TeleopStage.MATCHING  # the other one went on until it was disengaged
    bench.position["leader_right"][:6] = bench.position["follower_right"][:6]
    assert bench.run(1.0) == TeleopStage.MATCHING
    assert "open the gripper" in bench.teleop.reason
    for gripper in (OPEN, SQUEEZED):
        for name in LEADERS:
            bench.position[name][-1] = gripper
        bench.run(0.3)
    assert bench.teleop.stage == TeleopStage.ENGAGED


@pytest.mark.parametrize(
    ("mode", "offset", "seconds"),
    [
        (Mode.HOLDING, 0.6, 0.45),  # a lost reply or two
        (Mode.HOLDING, 0.2, 5.0),  # the leader stays where it is, to speak of
        (Mode.RAMPING, 0.6, 5.0),  # on its way to where the leader is
    ],
)
def test_a_follower_that_is_held_up_for_a_moment_or_near_its_target_goes_on(
    bench: Bench, mode: Mode, offset: float, seconds: float
) -> None:
    bench.engage()
    bench.run(1.2)
    for _ in range(3):
        bench.stuck, bench.mode["follower_left"] = {"follower_left"}, mode
        bench.hands(SQUEEZED, offset)
        assert bench.run(seconds) == TeleopStage.ENGAGED
        bench.stuck, bench.mode["follower_left"] = set(), Mode.FOLLOWING
        assert bench.run(0.1) == TeleopStage.ENGAGED
        bench.hands(SQUEEZED, 0.05)
        assert bench.run(0.1) == TeleopStage.ENGAGED


def test_a_gripper_that_holds_something_is_not_away_from_its_target(bench: Bench) -> None:
    bench.engage()
    bench.run(1.2)
    bench.stuck = {"follower_left"}
    bench.hands(SQUEEZED - 0.5, 0.05)
    assert bench.run(3.0) == TeleopStage.ENGAGED


def test_a_follower_away_from_its_target_does_not_set_off_when_a_silent_leader_is_back(
    bench: Bench,
) -> None:
    bench.engage()
    bench.run(1.2)
    bench.stuck = {"follower_left"}
    bench.hands(SQUEEZED, 0.6)
    bench.run(0.3)
    bench.age["leader_left"] = 0.2
    assert bench.run(0.15) == TeleopStage.STOPPED
    bench.run(1.0)
    bench.age["leader_left"] = 0.01
    assert bench.run(0.5) in (TeleopStage.WAITING, TeleopStage.MATCHING)


def test_disengage_keeps_the_followers_where_they_are(bench: Bench) -> None:
    bench.engage()
    bench.run(1.0)
    before = bench.targets["follower_left"].copy()
    bench.teleop.disengage()
    bench.hands(OPEN, 0.7)
    assert bench.run(0.5) == TeleopStage.MATCHING
    np.testing.assert_array_equal(bench.targets["follower_left"], before)


@pytest.mark.parametrize("how", ["disengage", "e-stop"])
def test_handles_that_stay_closed_engage_nothing_until_opened(bench: Bench, how: str) -> None:
    bench.engage()
    bench.run(1.2)
    if how == "disengage":
        bench.teleop.disengage()
    else:
        bench.e_stop = "button"
        bench.run(0.5)
        bench.e_stop = ""
    assert bench.run(1.0) == TeleopStage.MATCHING
    assert "open the gripper of leader_left and leader_right" in bench.teleop.reason
    bench.position["leader_left"][-1] = OPEN
    bench.run(0.1)
    bench.position["leader_left"][-1] = SQUEEZED
    assert bench.run(1.0) == TeleopStage.MATCHING
    assert "open the gripper of leader_right," in bench.teleop.reason
    bench.position["leader_right"][-1] = OPEN
    bench.run(0.1)
    bench.position["leader_right"][-1] = SQUEEZED
    assert bench.run(0.3) == TeleopStage.ENGAGED


def test_a_handle_at_the_threshold_does_not_count_as_opened(bench: Bench) -> None:
    bench.engage()
    bench.run(1.2)
    bench.teleop.disengage()
    threshold = arm("leader_left").gripper.engage_below_rad
    assert threshold is not None
    for gripper in (threshold + 0.01, threshold - 0.01):
        bench.hands(gripper, 0.05)
        assert bench.run(0.5) == TeleopStage.MATCHING


@pytest.mark.parametrize("name", ["follower_right", "leader_left"])
def test_a_bridge_that_falls_silent_ends_the_engagement_by_name(bench: Bench, name: str) -> None:
    bench.engage()
    bench.status_age[name] = 1.9
    assert bench.run(0.1) == TeleopStage.ENGAGED
    bench.status_age[name] = 2.1
    assert bench.run(0.1) == TeleopStage.WAITING
    assert bench.targets == {}
    assert bench.teleop.reason == f"the bridge of {name} is gone: no status for 2 s"
    bench.status_age[name] = 0.1
    assert bench.run(1.0) == TeleopStage.MATCHING


def test_it_waits_for_what_is_missing_by_name() -> None:
    bench = Bench()
    bench.mode["follower_left"] = None  # type: ignore[assignment]
    bench.run(0.1)
    assert bench.teleop.reason == "waiting for the bridge of follower_left"
    bench.mode["follower_left"] = Mode.HOLDING
    bench.age["follower_left"] = float("inf")
    bench.run(0.1)
    assert bench.teleop.reason == "waiting for the joint states of follower_left"
    bench.age["follower_left"] = 0.01
    bench.age["leader_left"] = 5.0
    bench.run(0.1)
    assert bench.teleop.reason == "no joint states from leader_left"
    assert bench.targets == {}

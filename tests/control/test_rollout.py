"""A rollout tick by tick: ramp, chunks, holds, a human in between, and what ends it."""

import numpy as np
import pytest

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.chunks import ChunkSchedule
from aloha_stack.control.ramps import smooth
from aloha_stack.control.rollout import START_S, Commander, RolloutPlayer, Stage
from aloha_stack.control.takeover import STOP_S, Takeover
from aloha_stack.control.teleop import ArmView, Pair
from aloha_stack.robot.joints import ARMS, FOLLOWERS, LEADERS, leader_of
from control.arms import arm, robot

TICK_S, TICK_NS = 0.02, 20_000_000
PAIRS = tuple(Pair(arm(leader_of(name)), arm(name)) for name in FOLLOWERS)


class Bench:
    """Followers that are where their targets are; a policy that moves the waists steadily."""

    def __init__(self) -> None:
        schedule = ChunkSchedule(TICK_NS, "latest")
        self.player = RolloutPlayer(robot().followers, schedule, Takeover(PAIRS))
        self.now_ns = 50_000_000_000
        self.position = {name: robot().arms[name].rest_pose.copy() for name in ARMS}
        self.mode = {n: Mode.BACK_DRIVEN if n in LEADERS else Mode.FOLLOWING for n in ARMS}
        self.age = dict.fromkeys(ARMS, 0.01)
        self.status_age = dict.fromkeys(ARMS, 0.5)
        self.e_stop = self.policy = ""
        self.speed = 0.3
        self.targets: dict[str, np.ndarray] = {}
        self.path: list[np.ndarray] = []
        self.commanders: list[Commander] = []

    def run(self, seconds: float, infer: bool = True) -> Stage:
        for tick in range(round(seconds / TICK_S)):
            self.now_ns += TICK_NS
            if infer and tick % 5 == 0:
                self.chunk()
            views = {
                a: ArmView(self.position[a], self.age[a], self.mode[a], self.status_age[a])
                for a in ARMS
            }
            self.targets = self.player.tick(self.now_ns, views, self.e_stop, self.policy)
            self.position.update(self.targets)
            self.commanders.append(self.player.commander)
            if self.targets:
                self.path.append(self.targets["follower_left"])
        return self.player.stage

    def chunk(self) -> str:
        here = np.concatenate([self.position[name] for name in FOLLOWERS])
        rows = np.tile(here, (50, 1))
        rows[:, [0, 7]] += np.arange(50)[:, None] * self.speed * TICK_S
        return self.player.add(self.now_ns, rows, self.now_ns)

    def hands(self, opening: float, offset: float = 0.0) -> None:
        """Leaders where their followers are, but for `offset` in each joint."""
        for pair in PAIRS:
            place = self.position[pair.follower.name] + offset
            place[-1] = pair.leader.gripper.unnormalise_joint(opening)
            self.position[pair.leader.name] = place

    def play(self) -> None:
        self.player.start()
        self.run(6.0)
        assert self.player.ready
        self.player.play(self.now_ns)
        assert self.run(1.0) == Stage.PLAYING

    def take_over(self) -> None:
        self.hands(0.6)
        self.run(0.1)
        self.hands(0.0, 0.05)
        assert self.run(0.3) == Stage.MATCHING
        assert self.run(0.4) == Stage.HUMAN

    def assert_smooth(self, ticks: int, rad_s: float) -> None:
        path = np.array(self.path[-ticks:])[:, :6]
        assert np.abs(np.diff(path, axis=0)).max() <= rad_s * TICK_S
        assert np.abs(np.diff(path, n=2, axis=0)).max() <= 12.0 * TICK_S**2


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_followers_go_to_the_start_pose_and_wait_there_until_the_policy_may_play(
    bench: Bench,
) -> None:
    assert bench.run(0.1) == Stage.IDLE
    assert not bench.targets
    bench.player.start()
    assert bench.run(0.1) == Stage.RAMPING
    bench.run(6.0)
    assert bench.player.ready
    for name in FOLLOWERS:
        np.testing.assert_allclose(bench.targets[name], arm(name).start_pose, atol=1e-9)
    assert bench.player.add(bench.now_ns, np.full((9, 3), np.nan), bench.now_ns) == ""
    bench.player.play(bench.now_ns)
    assert bench.run(0.1, infer=False) == Stage.HOLDING
    assert bench.player.reason == "waiting for the first chunk"
    assert bench.run(1.0) == Stage.PLAYING
    assert bench.commanders[-1] == Commander.POLICY
    bench.assert_smooth(300, 0.85)


def test_it_waits_for_the_bridges_and_their_joint_states(bench: Bench) -> None:
    bench.mode["follower_right"] = Mode.INACTIVE
    bench.player.start()
    assert bench.run(0.1) == Stage.STARTING
    assert bench.player.reason == "follower_right is inactive"
    bench.mode["follower_right"] = Mode.HOLDING
    bench.age["follower_left"] = 0.5
    bench.run(0.1)
    assert bench.player.reason == "no joint states from follower_left"
    assert not bench.targets
    bench.age["follower_left"] = 0.0
    assert bench.run(0.1) == Stage.RAMPING


def test_one_that_cannot_begin_is_over_before_anybody_forgets_it(bench: Bench) -> None:
    bench.mode["follower_right"] = Mode.INACTIVE
    bench.player.start()
    assert bench.run(START_S - 0.5) == Stage.STARTING
    assert bench.run(1.0) == Stage.IDLE
    assert bench.player.ended == "waited 10 s: follower_right is inactive"
    bench.mode["follower_right"] = Mode.HOLDING
    assert bench.run(0.5) == Stage.IDLE
    assert not bench.targets


@pytest.mark.parametrize("stage", [Stage.STARTING, Stage.RAMPING])
def test_an_e_stop_ends_one_that_has_not_begun_to_play_for_good(bench: Bench, stage: Stage) -> None:
    bench.mode["follower_right"] = Mode.INACTIVE if stage == Stage.STARTING else Mode.HOLDING
    bench.player.start()
    assert bench.run(0.2) == stage
    bench.e_stop = "button"
    assert bench.run(0.1) == Stage.IDLE
    assert bench.player.ended == "e-stop: button"
    bench.e_stop, bench.mode["follower_right"] = "", Mode.HOLDING
    assert bench.run(0.5) == Stage.IDLE
    assert not bench.targets


def test_without_a_ramp_it_begins_where_the_followers_are(bench: Bench) -> None:
    bench.player.start(to_start=False)
    bench.run(0.1)
    assert bench.player.ready
    np.testing.assert_array_equal(bench.targets["follower_left"], arm().rest_pose)


def test_a_policy_that_stops_is_a_hold_within_a_moment_and_goes_on_by_itself(bench: Bench) -> None:
    bench.play()
    bench.policy = "cam_high is 0.50 s old"
    before = bench.position["follower_left"].copy()
    assert bench.run(0.4) == Stage.HOLDING
    assert bench.player.reason == "cam_high is 0.50 s old"
    stopped = bench.position["follower_left"].copy()
    assert abs(stopped - before).max() <= 0.3 * 0.17
    bench.run(0.5)
    np.testing.assert_array_equal(bench.position["follower_left"], stopped)
    assert bench.player.holds == 1
    assert bench.commanders[-1] == Commander.NOBODY
    bench.policy = ""
    assert bench.run(0.5) == Stage.PLAYING
    bench.assert_smooth(80, 0.6)


def test_a_chunk_that_is_none_is_a_hold_and_one_that_is_late_is_not(bench: Bench) -> None:
    bench.play()
    late = bench.player.add(bench.now_ns - 10**9, np.zeros((50, 14)), bench.now_ns)
    assert "order of their observations" in late
    assert bench.run(0.1, infer=False) == Stage.PLAYING
    assert "not finite" in bench.player.add(bench.now_ns, np.full((50, 14), np.nan), bench.now_ns)
    assert bench.run(0.4, infer=False) == Stage.HOLDING
    assert "not finite" in bench.player.reason
    assert bench.player.refused == 2


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda b: setattr(b, "e_stop", "button"), "e-stop: button"),
        (lambda b: b.mode.update(follower_left=Mode.FAULT), "follower_left is fault"),
        (lambda b: b.status_age.update(follower_left=9.0), "bridge of follower_left is gone"),
        (lambda b: setattr(b, "now_ns", 10**9), "time went back"),
    ],
)
def test_what_ends_a_rollout_and_says_why(bench: Bench, break_it, reason: str) -> None:
    bench.play()
    break_it(bench)
    assert bench.run(0.1, infer=False) == Stage.IDLE
    assert reason in bench.player.ended
    assert not bench.targets


def test_why_it_ended_is_shown_until_that_is_mended(bench: Bench) -> None:
    bench.play()
    bench.e_stop, bench.mode["follower_left"] = "button", Mode.E_STOPPED
    bench.run(0.5)
    assert bench.player.reason == "e-stop: button"
    bench.e_stop = ""
    bench.run(0.5)
    assert bench.player.reason == "e-stop: button"
    bench.mode["follower_left"] = Mode.HOLDING
    bench.run(0.1)
    assert bench.player.reason == ""
    assert bench.player.ended == "e-stop: button"


def test_stale_joint_states_and_a_bridge_that_holds_are_holds(bench: Bench) -> None:
    bench.play()
    bench.age["follower_right"] = 0.3
    bench.run(0.1)
    assert bench.player.reason == "no joint states from follower_right"
    bench.age["follower_right"] = 0.0
    assert bench.run(0.5) == Stage.PLAYING
    bench.mode["follower_left"] = Mode.HOLDING
    assert bench.run(0.4) == Stage.PLAYING
    assert bench.run(0.3) == Stage.HOLDING
    assert "follower_left held instead of following" in bench.player.reason


def test_closing_the_handles_hands_the_followers_to_the_leaders_without_a_jump(
    bench: Bench,
) -> None:
    bench.play()
    bench.take_over()
    assert bench.commanders[-1] == Commander.OPERATOR
    leader = bench.position["leader_left"]
    for tick in range(100):
        leader[0] += 0.4 * smooth(tick / 20) * TICK_S
        bench.run(TICK_S)
    np.testing.assert_allclose(bench.targets["follower_left"][:6], leader[:6], atol=1e-9)
    bench.assert_smooth(150, 0.6)


def test_letting_go_of_both_handles_hands_them_back_without_a_jump(bench: Bench) -> None:
    bench.play()
    bench.take_over()
    for tick in range(120):
        bench.position["leader_left"][0] += 0.3 * smooth(tick / 20) * TICK_S
        if tick == 60:
            for pair in PAIRS:
                open_rad = pair.leader.gripper.unnormalise_joint(1.0)
                bench.position[pair.leader.name][-1] = open_rad
        bench.run(TICK_S, infer=tick % 5 == 0)
    assert bench.run(0.6) == Stage.PLAYING
    between = bench.commanders[-bench.commanders[::-1].index(Commander.OPERATOR) :]
    assert between[: round(STOP_S / TICK_S) - 1] == [Commander.NOBODY] * 14  # they come to rest
    assert between[-1] == Commander.POLICY
    bench.assert_smooth(160, 0.7)
    assert bench.player.takeovers == 1


def test_a_human_waits_until_the_leaders_match_and_may_give_up(bench: Bench) -> None:
    bench.play()
    bench.hands(0.6, 0.5)
    bench.run(0.1)
    bench.hands(0.0, 0.5)
    assert bench.run(1.0) == Stage.MATCHING
    assert "leader_left is off by waist +" in bench.player.reason
    assert bench.commanders[-1] == Commander.NOBODY
    bench.hands(1.0, 0.5)
    assert bench.run(0.8) == Stage.MATCHING
    assert bench.run(0.6) == Stage.PLAYING


def test_the_services_do_without_gestures(bench: Bench) -> None:
    assert "idle" in bench.player.take_over()
    bench.play()
    assert "no human" in bench.player.hand_back()
    bench.hands(1.0)
    assert bench.player.take_over() == ""
    bench.run(0.4)
    bench.hands(1.0)
    bench.run(0.1)
    assert bench.run(2.0) == Stage.HUMAN  # handles that were never closed are not let go
    assert bench.player.hand_back() == ""
    assert bench.run(0.6) == Stage.PLAYING


def test_leaders_that_fall_silent_stop_the_followers_and_have_to_match_anew(bench: Bench) -> None:
    bench.play()
    bench.take_over()
    bench.age["leader_right"] = 0.3
    assert bench.run(0.5) == Stage.MATCHING
    assert "no joint states from leader_right" in bench.player.reason
    held = bench.position["follower_left"].copy()
    bench.run(1.0)
    np.testing.assert_array_equal(bench.position["follower_left"], held)
    bench.age["leader_right"] = 0.0
    assert bench.run(0.5) == Stage.HUMAN
    assert bench.player.takeovers == 2

"""The player beside a robot and a policy that are stood in for: what a rollout does and tells."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from aloha_interfaces.msg import PlayerState, TaskState
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.chunks import ChunkBroken
from aloha_stack.control.rollout import Commander, Stage
from aloha_stack.nodes._chunks import NAMES, chunk_message, read_chunk
from aloha_stack.robot.joints import FOLLOWERS
from nodes.arm_rig import wait_for
from nodes.rollout_rig import DT_NS, Rig, rollout_rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rollout_rig() as rig:
        yield rig


def fastest(rig: Rig) -> float:
    """Of the arm joints of the left follower's commands, rad/s; a jump would be 10 or more."""
    stamps_s = np.array([stamp for stamp, _ in rig.commands]) * 1e-9
    path = np.array([position[:6] for _, position in rig.commands])
    return float(np.abs(np.diff(path, axis=0) / np.diff(stamps_s)[:, None]).max())


def test_stages_and_commanders_are_those_of_the_message() -> None:
    assert {stage.name: stage.value for stage in Stage} == {
        name: getattr(PlayerState, name) for name in Stage.__members__
    }
    assert all(getattr(PlayerState, one.name) == one for one in Commander)


def test_a_chunk_comes_out_of_its_message_as_it_went_in() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 14))
    stamp, read = read_chunk(chunk_message(rows, DT_NS, 12_345_678_901), DT_NS)
    assert stamp == 12_345_678_901
    np.testing.assert_array_equal(read, rows)
    mixed = chunk_message(rows[:, ::-1], DT_NS, 1)
    mixed.joint_names = NAMES[::-1]
    np.testing.assert_array_equal(read_chunk(mixed, DT_NS)[1], rows)


def test_messages_that_are_no_chunks_are_refused_by_name() -> None:
    rows = np.zeros((5, 14))
    other = chunk_message(rows, DT_NS, 0)
    other.joint_names = ["a", *NAMES[1:]]
    short = chunk_message(rows, DT_NS, 0)
    short.points[3].positions = [0.0] * 13
    for message, words in [
        (other, "joints are"),
        (short, "has not 14 positions"),
        (chunk_message(rows, 2 * DT_NS, 0), "another rate"),
        (JointTrajectory(joint_names=NAMES), "has 0 rows"),
    ]:
        with pytest.raises(ChunkBroken, match=words):
            read_chunk(message, DT_NS)


def test_a_rollout_from_its_goal_to_its_result(rig: Rig) -> None:
    assert not rig.commands
    for name in FOLLOWERS:
        rig.position[name][1] += 0.1
    handle = rig.ask(checkpoint="model", duration=1.0, record=True, task="wave")
    result = rig.result(handle)
    assert result.completed, result.message
    assert result.duration == pytest.approx(1.0, abs=0.5)
    assert 10 <= result.ticks <= 70  # a loaded machine skips some
    assert result.episode == "episodes/episode_000000"
    assert rig.outcomes == [""]
    assert result.takeovers == 0
    assert rig.state == PlayerState.IDLE
    assert not rig.infers
    seen = [(state.state, state.commander) for state in rig.states]
    assert (PlayerState.RAMPING, PlayerState.NOBODY) in seen
    assert (PlayerState.PLAYING, PlayerState.POLICY) in seen
    assert rig.commands[-1][1][0] - rig.commands[0][1][0] > 0.1
    assert fastest(rig) < 0.81
    count = len(rig.commands)
    time.sleep(0.2)
    assert len(rig.commands) == count
    rig.refuses = "it is none"
    refused = rig.result(rig.ask(checkpoint="none"))
    assert "it is none" in refused.message
    assert (refused.ticks, refused.holds, refused.overruns, refused.duration) == (0, 0, 0, 0.0)


def test_a_rollout_is_refused_in_words(rig: Rig) -> None:
    rig.refuses = "config.json: policy 'act2' is not known"
    assert "config.json" in rig.result(rig.ask(checkpoint="model")).message
    rig.refuses, rig.rate_hz = "", 25.0
    result = rig.result(rig.ask(checkpoint="model"))
    assert "the rate of model is 25 Hz; the player's (rate_hz) is 50 Hz" in result.message
    assert not rig.commands
    first = rig.ask()
    second = rig.result(rig.ask())
    assert "a rollout is under way" in second.message
    first.cancel_goal_async()
    assert not rig.result(first).completed
    other = rig.create_publisher(JointTrajectory, "/follower_left/command", 1)
    wait_for(lambda: rig.count_publishers("/follower_left/command") == 2)
    assert "/rig command the followers" in rig.result(rig.ask()).message
    rig.destroy_publisher(other)


def test_nothing_moves_for_a_rollout_that_could_not_be_played_or_recorded(rig: Rig) -> None:
    for name in FOLLOWERS:
        rig.position[name][1] += 0.1
    rig.recorder_says = "the output folder cannot be made"
    result = rig.result(rig.ask(record=True))
    assert result.message == "no recording: the output folder cannot be made"
    rig.unloaded, rig.problem = True, "the policy needs cam_low"
    time.sleep(0.5)  # until the player has heard it
    assert "the policy needs cam_low" in rig.result(rig.ask()).message
    assert not rig.commands
    rig.unloaded, rig.problem, rig.recorder_says = False, "", ""
    time.sleep(0.5)
    assert rig.result(rig.ask(duration=0.3, record=True)).completed
    assert rig.commands


@pytest.mark.parametrize(
    ("rewards", "outcome", "words"),
    [
        ((0, 4), "success", ""),
        ((0, 3), "failure", ""),
        ((4, 4), "", "nobody can tell whether it succeeded"),
        ((2, 4), "", "nobody can tell whether it succeeded"),
    ],
)
def test_what_a_used_world_shows_is_no_success_of_this_rollout(
    rig: Rig, rewards: tuple[int, int], outcome: str, words: str
) -> None:
    before, after = (TaskState(seed=1005, reward=one, max_reward=4) for one in rewards)
    rig.world = before
    handle = rig.ask(duration=2.0, record=True)
    wait_for(lambda: rig.state == PlayerState.PLAYING)
    rig.world = after
    result = rig.result(handle)
    assert result.completed
    assert result.outcome == outcome
    assert words in result.message
    assert rig.outcomes == [outcome]


@pytest.mark.parametrize(("reward", "outcome"), [(2, ""), (4, "success")])
def test_a_rollout_that_is_cut_short_did_not_fail(rig: Rig, reward: int, outcome: str) -> None:
    rig.world = TaskState(reward=0, max_reward=4)
    handle = rig.ask(record=True)
    wait_for(lambda: rig.state == PlayerState.PLAYING)
    rig.world = TaskState(reward=reward, max_reward=4)
    time.sleep(0.5)  # until the player has heard it
    rig.mode["follower_left"] = Mode.E_STOPPED
    result = rig.result(handle)
    assert not result.completed
    assert result.outcome == outcome
    assert rig.outcomes == [outcome]


def test_a_policy_that_stops_or_dies_is_a_hold_and_a_human_may_take_over(rig: Rig) -> None:
    handle = rig.ask()
    wait_for(lambda: rig.state == PlayerState.PLAYING)
    rig.problem = "cam_high is 0.5 s old"
    wait_for(lambda: rig.state == PlayerState.HOLDING)
    assert rig.states[-1].reason == "cam_high is 0.5 s old"
    rig.problem = ""
    wait_for(lambda: rig.state == PlayerState.PLAYING)
    rig.silent = True
    wait_for(lambda: "policy is gone" in rig.states[-1].reason)
    rig.silent = False
    wait_for(lambda: rig.state == PlayerState.PLAYING)

    assert rig.call("takeover").success
    wait_for(lambda: rig.state == PlayerState.MATCHING)
    rig.hands(0.5)
    wait_for(lambda: rig.state == PlayerState.HUMAN)
    assert rig.states[-1].commander == PlayerState.OPERATOR
    assert rig.call("release").success
    wait_for(lambda: rig.state == PlayerState.PLAYING)
    assert fastest(rig) < 0.6
    handle.cancel_goal_async()
    result = rig.result(handle)
    assert result.takeovers == 1
    assert result.holds >= 2


def test_a_chunk_with_nan_is_a_hold_and_an_e_stopped_follower_ends_the_rollout(rig: Rig) -> None:
    handle = rig.ask()
    wait_for(lambda: rig.state == PlayerState.PLAYING)
    rig.infers = True
    rig.speed = float("nan")
    wait_for(lambda: "not finite" in rig.states[-1].reason)
    assert rig.states[-1].refused > 0
    rig.mode["follower_left"] = Mode.E_STOPPED
    result = rig.result(handle)
    assert not result.completed
    assert result.message == "follower_left is e_stopped"
    assert rig.state == PlayerState.IDLE

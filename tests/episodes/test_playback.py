"""Executed commands as paths: whole, in time, and in pieces that join without a gap."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.playback import executed_paths, joint_path
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.robot.joints import FOLLOWERS, JOINTS
from episodes.sample_episodes import joint_bytes, motion, topic, write_episode

COMMANDS = "/follower_left/command_executed"


def test_paths_of_both_arms_share_one_start(tmp_path: Path) -> None:
    paths = executed_paths(Episode(write_episode(tmp_path, seconds=0.2)), FOLLOWERS)
    for path in paths.values():
        np.testing.assert_array_equal(path.times_ns, 10_000_000 * np.arange(20))
        np.testing.assert_allclose(path.position[7], motion(7, 7))


def test_joints_are_put_in_order_by_name(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic(COMMANDS)], EpisodeInfo())
    writer.write(COMMANDS, joint_bytes(5, range(7), JOINTS[::-1]), 5, 5)
    path = executed_paths(Episode(writer.finish("")), ["follower_left"])["follower_left"]
    assert path.position.tolist() == [[6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]]


def test_of_commands_with_the_same_stamp_the_last_counts(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic(COMMANDS)], EpisodeInfo())
    for stamp, value in ((5, 0.0), (15, 1.0), (15, 2.0), (25, 3.0)):
        stamp *= 1_000_000
        writer.write(COMMANDS, joint_bytes(stamp, [value] * 7, JOINTS), stamp, stamp)
    path = executed_paths(Episode(writer.finish("")), ["follower_left"])["follower_left"]
    assert path.times_ns.tolist() == [0, 10_000_000, 20_000_000]
    assert path.position[:, 0].tolist() == [0.0, 2.0, 3.0]


def test_commands_that_follow_each_other_too_closely_for_a_bridge_are_thinned(
    tmp_path: Path,
) -> None:
    writer = EpisodeWriter(tmp_path, [topic(COMMANDS)], EpisodeInfo())
    stamps = [0, 10_000_000, 19_700_000, 20_000_000, 30_000_000, 31_000_000]
    for number, stamp in enumerate(stamps):
        writer.write(COMMANDS, joint_bytes(stamp, [float(number)] * 7, JOINTS), stamp, stamp)
    path = executed_paths(Episode(writer.finish("")), ["follower_left"])["follower_left"]
    assert path.position[:, 0].tolist() == [0.0, 1.0, 3.0, 4.0, 5.0]
    assert np.diff(path.times_ns).min() >= 1_000_000


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "no command of follower_left"),
        ([(1, [0.0] * 2, JOINTS[:2])], "has the joints waist, shoulder"),
        ([(1, [float("nan")] * 7, JOINTS)], "no numbers"),
        ([(2, [0.0] * 7, JOINTS), (1, [0.0] * 7, JOINTS)], "run backwards"),
    ],
)
def test_commands_that_cannot_be_replayed_are_refused(
    tmp_path: Path, messages: list[tuple[int, list[float], tuple[str, ...]]], words: str
) -> None:
    writer = EpisodeWriter(tmp_path, [topic(COMMANDS)], EpisodeInfo())
    for stamp, position, names in messages:
        writer.write(COMMANDS, joint_bytes(stamp, position, names), stamp, stamp)
    with pytest.raises(EpisodeError, match=words):
        executed_paths(Episode(writer.finish("")), ["follower_left"])


@given(
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=60),
    start=st.integers(-200, 9_000),
    length=st.integers(1, 2_000),
)
def test_a_window_holds_every_target_of_its_time_and_one_before_it(
    gaps: list[int], start: int, length: int
) -> None:
    times = np.cumsum([0, *gaps])
    path = joint_path(times, np.repeat(times[:, None], 7, axis=1).astype(float))
    window = path.window(start, length)
    inside = times[(times > start) & (times < start + length)]
    assert set(inside) <= set(window.times_ns)
    assert len(window.times_ns) <= len(inside) + 2
    # What is due at the start can be interpolated, if the path has begun and has not ended.
    if times[0] <= start <= times[-1]:
        assert window.times_ns[0] <= start
    np.testing.assert_array_equal(window.position[:, 0], window.times_ns)
    np.testing.assert_array_equal(window.velocity, path.velocity[np.isin(times, window.times_ns)])


def test_velocities_are_those_of_the_path_and_zero_at_its_ends() -> None:
    times = 10_000_000 * np.arange(6)
    path = joint_path(times, np.tile(3e-9 * times[:, None], 7))
    np.testing.assert_allclose(path.velocity[1:-1], 3.0)
    np.testing.assert_array_equal(path.velocity[[0, -1]], 0.0)

"""The main job through the real launch files: teleoperate, record, replay."""

from math import pi
from pathlib import Path

import numpy as np
import pytest

from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import summarise
from aloha_stack.graph import Graph
from aloha_stack.robot.joints import CAMERAS, FOLLOWERS, JOINTS, SIDES

STEPS = 60


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short demonstration, recorded by the graph of teleop_record.launch.xml."""
    folder = tmp_path_factory.mktemp("main_job")
    arguments = {"robot": "twin", "directory": str(folder / "episodes"), "seed": "5"}
    with Graph("teleop_record", arguments, folder / "log") as graph:
        events = list(
            graph.session("demonstrate", "--record", "--seeds", "5", "--steps", str(STEPS))
        )
    assert events[-1]["event"] == "episode"
    return Path(events[-1]["path"])


def test_every_stream_of_the_robot_is_recorded_and_none_loses_a_message(episode):
    summary = summarise(episode)
    assert summary.lost == 0
    assert summary.verdict in ("good", "flawed"), summary.reasons  # a loaded machine is uneven
    assert (summary.task, summary.seed, summary.outcome) == ("transfer_cube", 5, "failure")
    rates = {stream.topic: stream.rate_hz for stream in summary.streams}
    for camera in CAMERAS:
        assert rates[f"/{camera}/image_raw/compressed"] == pytest.approx(50, rel=0.05)
    for side in SIDES:
        assert rates[f"/leader_{side}/joint_states"] == pytest.approx(100, rel=0.1)
        assert rates[f"/follower_{side}/joint_states"] == pytest.approx(100, rel=0.1)
        assert rates[f"/follower_{side}/command_executed"] == pytest.approx(100, rel=0.1)
    assert summary.steps >= STEPS - 5


def test_recorded_actions_are_whole_servo_ticks(episode):
    streams = Episode(episode).joints(*(f"/{arm}/command_executed" for arm in FOLLOWERS))
    for stream in streams.values():
        assert tuple(stream.names) == JOINTS
        ticks = stream.position * 4096 / (2 * pi)
        np.testing.assert_allclose(ticks, np.round(ticks), atol=1e-6)


def test_followers_go_where_the_leaders_were_led(episode):
    streams = Episode(episode).joints("/leader_right/joint_states", "/follower_right/joint_states")
    leader, follower = streams.values()
    moved = np.ptp(leader.position[:, :6], axis=0)
    assert moved.max() > 0.3
    away = np.abs(follower.position[-1, :6] - leader.position[-1, :6])
    assert away.max() < (moved.max() if missed_the_heartbeat(episode) else 0.15)


def missed_the_heartbeat(path: Path) -> bool:
    """Whether the right follower held without one, as it must after a standstill of the machine: it
    joins its leader slowly then, and may still be on its way at the end."""
    episode = Episode(path)
    statuses = map(episode.decode, episode.records(["/follower_right/status"]))
    return any("no heartbeat" in status.reason for status in statuses)


def test_what_was_executed_can_be_replayed_through_the_bridges(episode, tmp_path):
    arguments = {"robot": "twin", "episode": str(episode), "cameras": "false"}
    arguments |= {"description": "false", "wait_for_start": "true", "seed": "5"}
    with Graph("replay", arguments, tmp_path / "log") as graph:
        events = list(graph.session("replay", "--seeds", "5"))
    assert events[-1]["event"] == "replayed"

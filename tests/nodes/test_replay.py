"""Replay against listeners that stand for the bridges: the same targets at the same times."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from aloha_interfaces.msg import ArmStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control.commands import WAITING, CommandStream, check_command
from aloha_stack.episodes.playback import executed_paths
from aloha_stack.episodes.reader import Episode
from aloha_stack.nodes._executor import LeanExecutor
from aloha_stack.nodes._qos import STATE as LATCHED
from aloha_stack.nodes.replay import Replay
from aloha_stack.robot.joints import FOLLOWERS, JOINTS
from episodes.sample_episodes import write_episode
from nodes.domains import free_domain
from nodes.unstalled_nodes import unstalled_nodes

START = np.full(7, 0.1)


class Bridges(Node):
    """Both followers: says where they stand and what they do, and keeps what it is told.

    They stand where the last point that was due put them, and follow as soon as they are told,
    unless they are `deaf`.
    """

    def __init__(self) -> None:
        super().__init__("bridges")
        self.commands: dict[str, list[JointTrajectory]] = {arm: [] for arm in FOLLOWERS}
        self.states: list[str] = []
        self.saying: tuple[int, str] | None = None
        self.deaf = self.quiet = False
        self.displaced = 0.0
        self.status = {
            arm: self.create_publisher(ArmStatus, f"/{arm}/status", LATCHED) for arm in FOLLOWERS
        }
        self.joints = {
            arm: self.create_publisher(JointState, f"/{arm}/joint_states", 5) for arm in FOLLOWERS
        }
        for arm in FOLLOWERS:
            heard = partial(self.on_command, arm)
            self.create_subscription(JointTrajectory, f"/{arm}/command", heard, 100)
        self.create_subscription(
            String, "/replay/state", lambda m: self.states.append(m.data), LATCHED
        )
        self.starter = self.create_client(Trigger, "/replay/start")
        self.create_timer(0.02, self.publish_joints)
        self.create_timer(0.5, self.publish_status)

    def on_command(self, arm: str, message: JointTrajectory) -> None:
        self.commands[arm].append(message)
        if not self.deaf and self.saying == (ArmStatus.HOLDING, WAITING):
            self.say(ArmStatus.FOLLOWING)

    def position(self, arm: str) -> np.ndarray:
        now_ns = time.time_ns()
        due = [place for at, place in sorted(self.absolute(arm).items()) if at <= now_ns]
        return np.array(due[-1] if due else START) + self.displaced

    def publish_joints(self) -> None:
        for arm, publisher in self.joints.items():
            publisher.publish(JointState(name=list(JOINTS), position=list(self.position(arm))))

    def publish_status(self) -> None:
        if self.saying is not None and not self.quiet:
            mode, reason = self.saying
            for arm, publisher in self.status.items():
                publisher.publish(ArmStatus(arm=arm, mode=mode, reason=reason))

    def say(self, mode: int, reason: str = "") -> None:
        self.saying = (mode, reason)
        self.publish_status()

    def absolute(self, arm: str, since: int = 0) -> dict[int, list[float]]:
        """All points that were sent, by their time in ns; the same time always has one target."""
        points: dict[int, list[float]] = {}
        for message in self.commands[arm][since:]:
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            for point in message.points:
                offset = point.time_from_start.sec * 10**9 + point.time_from_start.nanosec
                assert points.setdefault(stamp + offset, list(point.positions)) == list(
                    point.positions
                )
        return points


class Graph:
    """Replay and the bridges, spinning."""

    def __init__(self, episode: Path, **parameters: Any) -> None:
        self.path = episode
        rclpy.init(domain_id=free_domain())
        given = {"robot": "twin", "episode": str(episode), "ramp_speed": 3.0, **parameters}
        self.replay = Replay(
            parameter_overrides=[Parameter(name, value=value) for name, value in given.items()]
        )
        self.bridges = Bridges()
        self.executors = [LeanExecutor(), rclpy.executors.SingleThreadedExecutor()]
        self.executors[0].add_node(self.replay)
        self.executors[1].add_node(self.bridges)
        self.closing = threading.Event()
        self.threads = [threading.Thread(target=self._spin, args=(e,)) for e in self.executors]
        for thread in self.threads:
            thread.start()

    def _spin(self, executor: Any) -> None:
        while not self.closing.is_set():
            executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self.replay.close()
        self.closing.set()
        for thread in self.threads:
            thread.join()
        for executor in self.executors:
            executor.shutdown(timeout_sec=0)
        self.executors[0].release()
        self.replay.time.close()
        self.replay.destroy_node()
        self.bridges.destroy_node()
        rclpy.try_shutdown()


def wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def make_graph(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Graph]]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ALOHA_PORTS", "/nowhere")
    graphs: list[Graph] = []

    def make(*args: Any, **options: Any) -> Graph:
        graphs.append(Graph(*args, **options))
        return graphs[-1]

    with unstalled_nodes():
        yield make
        for graph in graphs:
            graph.close()


def test_what_was_executed_is_commanded_at_the_same_times(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    path = write_episode(tmp_path, seconds=0.8)
    graph = make_graph(path, wait_for_start=True)
    bridges = graph.bridges
    time.sleep(0.2)
    assert not any(bridges.commands.values())  # nothing moves before both bridges are able to
    bridges.say(ArmStatus.HOLDING, WAITING)
    wait_for(lambda: "ready" in bridges.states)
    ramps = {arm: len(bridges.commands[arm]) for arm in FOLLOWERS}
    recorded = executed_paths(Episode(path), FOLLOWERS)
    for arm in FOLLOWERS:
        points = sorted(bridges.absolute(arm).items())
        np.testing.assert_allclose(points[0][1], START)
        np.testing.assert_allclose(points[-1][1], recorded[arm].position[0])
    answer = bridges.starter.call_async(Trigger.Request())
    wait_for(lambda: answer.done() and "done" in bridges.states)
    assert answer.result().success
    starts = set()
    for arm in FOLLOWERS:
        points = sorted(bridges.absolute(arm, ramps[arm]).items())
        starts.add(points[0][0])
        times = np.array([at for at, _ in points]) - points[0][0]
        np.testing.assert_array_equal(times, recorded[arm].times_ns)
        np.testing.assert_array_equal([p for _, p in points], recorded[arm].position)
    assert len(starts) == 1  # both arms go by one start
    assert bridges.states[-4:] == ["ramping", "ready", "playing", "done"]


def test_a_piece_reaches_little_farther_than_a_second(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(write_episode(tmp_path, seconds=1.6))
    graph.bridges.say(ArmStatus.FOLLOWING)
    wait_for(lambda: "done" in graph.bridges.states)
    for message in graph.bridges.commands["follower_left"]:
        assert len(message.points) > 1  # a single point would be a target of a stream
        last = message.points[-1].time_from_start
        assert last.sec + last.nanosec * 1e-9 <= 1.06
        assert list(message.joint_names) == list(JOINTS)


def test_a_bridges_command_stream_takes_every_piece_and_follows_the_recording(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    path = write_episode(tmp_path, seconds=0.9)
    graph = make_graph(path, wait_for_start=True)
    bridges = graph.bridges
    bridges.say(ArmStatus.HOLDING, WAITING)
    wait_for(lambda: "ready" in bridges.states)
    ramps = len(bridges.commands["follower_left"])
    bridges.starter.call_async(Trigger.Request())
    wait_for(lambda: "done" in bridges.states)
    recorded = executed_paths(Episode(path), FOLLOWERS)["follower_left"]
    start_s = min(bridges.absolute("follower_left", ramps)) * 1e-9
    stream = CommandStream()
    for index, message in enumerate(bridges.commands["follower_left"][ramps:]):
        stamp_s = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        times = [p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in message.points]
        positions = [list(p.positions) for p in message.points]
        velocities = [list(p.velocities) for p in message.points]
        command = check_command(message.joint_names, positions, velocities, times, stamp_s)
        now_s = start_s + 0.25 * index
        stream.offer(command, now_s, recorded.position[0])
        due = (recorded.times_ns * 1e-9 >= now_s - start_s) & (
            recorded.times_ns * 1e-9 < now_s - start_s + 0.25
        )
        for time_ns, position in zip(recorded.times_ns[due], recorded.position[due], strict=True):
            wanted = stream.wanted(start_s + time_ns * 1e-9)
            assert wanted is not None
            np.testing.assert_allclose(wanted.position, position, atol=1e-5)


def test_nothing_is_sent_while_a_bridge_holds_for_another_reason_than_a_lack_of_commands(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(write_episode(tmp_path, seconds=1.0))
    bridges = graph.bridges
    bridges.say(ArmStatus.HOLDING, "no heartbeat from safety")
    time.sleep(1.0)
    assert bridges.states == ["waiting"]
    assert not any(bridges.commands.values())
    bridges.say(ArmStatus.HOLDING, WAITING)
    wait_for(lambda: "playing" in bridges.states)


def test_an_arm_that_stops_ends_the_replay_with_its_reason(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(write_episode(tmp_path, seconds=3.0))
    bridges = graph.bridges
    bridges.say(ArmStatus.FOLLOWING)
    wait_for(lambda: "playing" in bridges.states)
    bridges.say(ArmStatus.E_STOPPED, "the button was pressed")
    wait_for(lambda: bridges.states[-1].startswith("stopped"))
    assert "the button was pressed" in bridges.states[-1]
    sent = len(bridges.commands["follower_left"])
    time.sleep(0.6)
    assert len(bridges.commands["follower_left"]) == sent


def test_arms_that_hold_instead_of_following_end_the_replay(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(write_episode(tmp_path, seconds=4.0))
    bridges = graph.bridges
    bridges.say(ArmStatus.HOLDING, WAITING)
    wait_for(lambda: "playing" in bridges.states)
    bridges.deaf = True
    bridges.say(ArmStatus.HOLDING, "commands are too old")
    wait_for(lambda: bridges.states[-1].startswith("stopped"), 3.0)
    assert "holds instead of following (commands are too old)" in bridges.states[-1]


def test_bridges_that_fall_silent_end_the_replay(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(write_episode(tmp_path, seconds=5.0))
    bridges = graph.bridges
    bridges.say(ArmStatus.FOLLOWING)
    wait_for(lambda: "playing" in bridges.states)
    bridges.quiet = True
    wait_for(lambda: bridges.states[-1].startswith("stopped"), 4.0)
    assert "no status from follower_left for 2 s" in bridges.states[-1]


def test_an_arm_that_was_moved_while_ready_is_brought_back_first(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(write_episode(tmp_path, seconds=0.3), wait_for_start=True)
    bridges = graph.bridges
    bridges.say(ArmStatus.FOLLOWING)
    wait_for(lambda: "ready" in bridges.states)
    bridges.displaced = 0.2
    wait_for(
        lambda: np.allclose(
            graph.replay._positions["follower_left"][:6], bridges.position("follower_left")[:6]
        )
    )
    before = len(bridges.commands["follower_left"])
    bridges.starter.call_async(Trigger.Request())
    wait_for(lambda: bridges.states[-2:] == ["ready", "ramping"])
    wait_for(lambda: len(bridges.commands["follower_left"]) > before)
    first = bridges.commands["follower_left"][before].points[0].positions
    bridges.displaced = 0.0
    recorded = executed_paths(Episode(graph.path), FOLLOWERS)["follower_left"]
    np.testing.assert_allclose(first, recorded.position[0] + 0.2)
    wait_for(lambda: bridges.states[-2:] == ["playing", "done"])


def test_an_arm_that_cannot_be_brought_to_the_first_pose_is_named(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(write_episode(tmp_path, seconds=0.3))
    graph.bridges.displaced = 0.2
    graph.bridges.say(ArmStatus.FOLLOWING)
    wait_for(lambda: "stopped" in "".join(graph.bridges.states[-1:]))
    assert "follower_left is 0.20 rad away from its first pose" in graph.bridges.states[-1]
    assert "playing" not in graph.bridges.states


def test_start_is_refused_before_the_replay_is_ready(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(write_episode(tmp_path, seconds=0.1), wait_for_start=True)
    assert graph.bridges.starter.wait_for_service(10.0)
    answer = graph.bridges.starter.call_async(Trigger.Request())
    wait_for(answer.done)
    assert not answer.result().success
    assert "replay is waiting" in answer.result().message


@pytest.mark.parametrize("content", [None, b"no bag"])
def test_an_unknown_or_foreign_episode_is_named_with_status_2(
    tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "/nowhere")
    path = tmp_path / "episode_000007"
    if content is not None:
        path = write_episode(tmp_path, seconds=0.1)
        (path / f"{path.name}_0.mcap").write_bytes(content)
    code = "import sys; from aloha_stack.nodes.replay import main; sys.exit(main())"
    arguments = ["--ros-args", "-p", "robot:=twin", "-p", f"episode:={path}"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert done.returncode == 2
    assert str(path) in done.stderr

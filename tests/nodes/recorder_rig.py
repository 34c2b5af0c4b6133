"""A recorder among real publishers, and a client that asks it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from aloha_interfaces.action import RecordEpisode
from aloha_interfaces.msg import RecorderState, TaskState
from aloha_interfaces.srv import LabelEpisode, StopRecording
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, JointState
from std_srvs.srv import Trigger

from aloha_stack.nodes._executor import LeanExecutor
from aloha_stack.nodes._qos import STATE
from aloha_stack.nodes.recorder import Recorder
from aloha_stack.robot.joints import ARMS, CAMERAS, FOLLOWERS, JOINTS
from episodes.sample_episodes import jpeg, stamped
from nodes.domains import free_domain
from nodes.unstalled_nodes import unstalled_nodes

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


class Robot(Node):
    """Publishes what bridges and cameras would, at 100 and 50 Hz; keeps what it has published."""

    def __init__(self, silent: tuple[str, ...] = ()) -> None:
        super().__init__("robot")
        names = [f"/{arm}/joint_states" for arm in ARMS]
        names += [f"/{arm}/command_executed" for arm in FOLLOWERS]
        images = [f"/{camera}/image_raw/compressed" for camera in CAMERAS]
        self.joints = {n: self.create_publisher(JointState, n, 5) for n in names if n not in silent}
        self.images = {
            n: self.create_publisher(CompressedImage, n, BEST_EFFORT)
            for n in images
            if n not in silent
        }
        previews = [f"/{camera}/preview/compressed" for camera in CAMERAS]
        self.previews = [self.create_publisher(CompressedImage, n, BEST_EFFORT) for n in previews]
        self.grippers = dict.fromkeys(ARMS, 0.0)
        """rad, in the joint states of each arm."""
        self.poses: dict[str, list[float]] = {}
        """rad, of the six other joints of arms that stand still."""
        self.sent: dict[str, list[int]] = {name: [] for name in (*self.joints, *self.images)}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()

    def _publish(self) -> None:
        step = 0
        while not self._end.wait(0.01):
            now = time.time_ns()
            for name, publisher in self.joints.items():
                arm = name.split("/")[1]
                pose = self.poses.get(arm, [step * 0.01] * 6)
                position = [*pose, self.grippers[arm]]
                publisher.publish(stamped(JointState(name=list(JOINTS), position=position), now))
                self.sent[name].append(now)
            if step % 2 == 0:
                image = stamped(CompressedImage(format="rgb8; jpeg compressed bgr8"), now)
                image.data.frombytes(jpeg(step))
                for name, publisher in self.images.items():
                    publisher.publish(image)
                    self.sent[name].append(now)
                for preview in self.previews if step % 10 == 0 else ():
                    preview.publish(image)
            step += 1

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self.destroy_node()


class Graph:
    """A recorder, a robot and a client."""

    def __init__(self, directory: Path, silent: tuple[str, ...] = (), **parameters: Any) -> None:
        self.domain = free_domain()
        rclpy.init(domain_id=self.domain)
        given = {"robot": "twin", "directory": str(directory), **parameters}
        self.recorder = Recorder(
            parameter_overrides=[Parameter(name, value=value) for name, value in given.items()],
        )
        self.robot = Robot(silent)
        self.client = Node("client")
        self.goals = ActionClient(self.client, RecordEpisode, "/recorder/record_episode")
        self.stops = self.client.create_client(StopRecording, "/recorder/stop")
        self.labels = self.client.create_client(LabelEpisode, "/recorder/label")
        self.states: list[RecorderState] = []
        self.client.create_subscription(RecorderState, "/recorder/state", self.states.append, STATE)
        self.executor = LeanExecutor()
        self.executor.add_node(self.recorder)
        self.other = rclpy.executors.SingleThreadedExecutor()
        self.other.add_node(self.client)
        self.closing = threading.Event()
        self.threads = [
            threading.Thread(target=self._spin, args=(executor,))
            for executor in (self.executor, self.other)
        ]
        for thread in self.threads:
            thread.start()
        assert self.recorder.transition("configure")
        assert self.recorder.transition("activate")
        assert self.goals.wait_for_server(10.0)
        assert self.stops.wait_for_service(10.0)

    def _spin(self, executor: Any) -> None:
        while not self.closing.is_set():
            executor.spin_once(timeout_sec=0.05)

    def wait_for_streams(self, count: int = 10) -> None:
        wait_for(lambda: sum(t.counter.last is not None for t in self.recorder.taps.all) >= count)

    def start(self, feedback: Callable[[Any], None] | None = None, **goal: Any) -> Any:
        sending = self.goals.send_goal_async(RecordEpisode.Goal(**goal), feedback_callback=feedback)
        handle = resolved(sending)
        assert handle.accepted
        return handle

    def stop(self, **request: Any) -> StopRecording.Response:
        response = resolved(self.stops.call_async(StopRecording.Request(**request)))
        assert isinstance(response, StopRecording.Response)
        return response

    def tell_world(self, seed: int) -> None:
        """As the twin: tells of the world of `seed` until the recorder has heard it."""
        (tap,) = (tap for tap in self.recorder.taps.all if tap.stream.name == "/task/state")
        publisher = self.client.create_publisher(TaskState, "/task/state", 5)
        message = TaskState(task="transfer_cube", seed=seed)

        def heard() -> bool:
            return bool(tap.latest) and deserialize_message(tap.latest, TaskState).seed == seed

        wait_for(lambda: publisher.get_subscription_count() > 0)
        while not heard():  # the first may be lost: the recorder may know of no publisher yet
            publisher.publish(message)
            with contextlib.suppress(AssertionError):
                wait_for(heard, 1.0)
        self.client.destroy_publisher(publisher)

    def ask(self, name: str) -> Trigger.Response:
        client = self.client.create_client(Trigger, f"/recorder/{name}")
        assert client.wait_for_service(10.0)
        response = resolved(client.call_async(Trigger.Request()))
        assert isinstance(response, Trigger.Response)
        return response

    def label(self, **request: Any) -> LabelEpisode.Response:
        response = resolved(self.labels.call_async(LabelEpisode.Request(**request)))
        assert isinstance(response, LabelEpisode.Response)
        return response

    @property
    def state(self) -> RecorderState:
        wait_for(lambda: bool(self.states))
        return self.states[-1]

    def close(self) -> None:
        self.recorder.close()
        self.robot.close()
        self.closing.set()
        for thread in self.threads:
            thread.join()
        for executor in (self.executor, self.other):
            executor.shutdown(timeout_sec=0)
        self.executor.release()
        self.recorder.time.close()
        self.goals.destroy()
        for node in (self.recorder, self.client):
            node.destroy_node()
        rclpy.try_shutdown()


def resolved(future: Any, timeout_s: float = 60.0) -> Any:
    wait_for(future.done, timeout_s)
    return future.result()


def result_of(handle: Any) -> RecordEpisode.Result:
    result = resolved(handle.get_result_async()).result
    assert isinstance(result, RecordEpisode.Result)
    return result


def wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.01)


@pytest.fixture(name="make_graph")
def graph_maker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Graph]]:
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
        rclpy.try_shutdown()

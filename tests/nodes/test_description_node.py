"""robot_description and TF: the frames stand where the arms are, and none is invented."""

from array import array
from collections.abc import Iterator

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.qos import QoSProfile
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from aloha_stack.nodes._conversions import set_stamp, stamp_ns
from aloha_stack.nodes._executor import LookingExecutor
from aloha_stack.nodes.description import Description
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import ARMS, STATE_JOINTS
from aloha_stack.robot.urdf import frame_id, urdf_text
from nodes.arm_rig import LATCHED, ros, spinning, wait_for, with_parameters

ARM = "follower_right"
MS = 1_000_000


class Watcher(Node):
    """Publishes joint states of arms, and keeps the last transform of every frame."""

    def __init__(self) -> None:
        super().__init__("watcher")
        self.frames: dict[str, tuple[str, int, np.ndarray]] = {}
        """By child: its parent, stamp (ns), and pose in the parent's frame (4, 4)."""
        self.states = {
            arm: self.create_publisher(JointState, f"/{arm}/joint_states", 5) for arm in ARMS
        }
        self.create_subscription(TFMessage, "/tf_static", self._on_tf, LATCHED)
        self.listen()

    def listen(self) -> None:
        self.tf = self.create_subscription(TFMessage, "/tf", self._on_tf, QoSProfile(depth=100))

    def _on_tf(self, message: TFMessage) -> None:
        for frame in message.transforms:
            t, r = frame.transform.translation, frame.transform.rotation
            pose = np.eye(4)
            pose[:3, :3] = Rotation.from_quat([r.x, r.y, r.z, r.w]).as_matrix()
            pose[:3, 3] = t.x, t.y, t.z
            header = frame.header
            self.frames[frame.child_frame_id] = header.frame_id, stamp_ns(header.stamp), pose

    def in_world(self, frame: str) -> np.ndarray:
        pose = np.eye(4)
        while frame != "world":
            frame, _, step = self.frames[frame]
            pose = step @ pose
        return pose

    def stamp(self, arm: str) -> int:
        return self.frames.get(frame_id(arm, "wrist_link"), ("", -1, None))[1]

    def show(self, arm: str, values: np.ndarray, time_ms: int, names=STATE_JOINTS) -> None:
        state = JointState(name=list(names), position=array("d", np.asarray(values).tolist()))
        set_stamp(state.header.stamp, time_ms * MS)
        self.states[arm].publish(state)

    def show_until_seen(self, arm: str, values: np.ndarray, time_ms: int, **options) -> None:
        def seen() -> bool:
            self.show(arm, values, time_ms, **options)
            return self.stamp(arm) == time_ms * MS

        wait_for(seen)


class Counted(Description):
    looks = 0

    def looked(self) -> None:
        super().looked()
        self.looks += 1


@pytest.fixture
def graph() -> Iterator[tuple[Counted, Watcher]]:
    with ros():
        node = Counted(parameter_overrides=with_parameters(robot="aloha"))
        watcher = Watcher()
        with spinning(watcher), spinning(node, executor=LookingExecutor(100.0)):
            yield node, watcher
        node.time.close()
        node.destroy_node()
        watcher.destroy_node()


def test_tf_is_the_type_that_ros_2_knows(graph) -> None:
    """Its type hash is that of Jazzy's tf2_msgs, whoever built it here."""
    node, _ = graph
    wait_for(lambda: node.get_publishers_info_by_topic("/tf"))
    [sender] = node.get_publishers_info_by_topic("/tf")
    digest = bytes(sender.topic_type_hash.value).hex()
    assert digest == "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"


def test_every_arm_is_described_to_those_who_come_late(graph) -> None:
    watcher, robot = graph[1], load_robot("aloha")
    for arm in ARMS:
        heard: list[String] = []
        watcher.create_subscription(String, f"/{arm}/robot_description", heard.append, LATCHED)
        wait_for(lambda heard=heard: heard)
        assert heard[0].data == urdf_text(robot.arm(arm))


def test_the_frames_stand_where_the_arm_is(graph) -> None:
    watcher, robot = graph[1], load_robot("aloha")
    chain, mount = robot.arm(ARM).chain, robot.mounts[ARM]
    position = np.array([0.3, -0.9, 1.1, 0.5, -0.4, 0.7, 0.2])
    watcher.show_until_seen(ARM, chain.joint_values(position), 1234)
    wait_for(lambda: frame_id(ARM, "base_link") in watcher.frames)
    for link, matrix in zip(chain.links, chain.forward(position), strict=True):
        found = watcher.in_world(frame_id(ARM, link.name))
        np.testing.assert_allclose(found, mount.matrix @ matrix, atol=1e-9)
    moving = [frame_id(ARM, link.name) for link in chain.links[1:]]
    assert {watcher.frames[frame][1] for frame in moving} == {1234 * MS}


def test_only_arms_that_speak_move_and_all_bases_stand(graph) -> None:
    watcher, chain = graph[1], load_robot("aloha").arm(ARM).chain
    watcher.show_until_seen(ARM, np.zeros(9), 10)
    watcher.show_until_seen(ARM, np.zeros(9), 20)
    bases = {frame_id(arm, "base_link") for arm in ARMS}
    wait_for(lambda: bases <= set(watcher.frames))
    moving = {frame_id(ARM, link.name) for link in chain.links[1:]}
    assert set(watcher.frames) == bases | moving


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (np.full(9, np.nan), STATE_JOINTS),
        (np.zeros(8), STATE_JOINTS[:8]),
        (np.zeros(8), STATE_JOINTS),
        ([], []),
    ],
)
def test_states_that_say_no_place_move_no_frame(graph, values, names) -> None:
    watcher = graph[1]
    watcher.show_until_seen(ARM, np.zeros(9), 10)
    for time_ms in range(20, 30):
        watcher.show(ARM, values, time_ms, names)
    watcher.show_until_seen("leader_left", np.zeros(9), 40)
    assert watcher.stamp(ARM) == 10 * MS
    watcher.show_until_seen(ARM, np.zeros(9), 50)


def test_a_state_that_comes_again_is_not_sent_again(graph) -> None:
    """tf2 complains of repeated data, for each transform."""
    node, watcher = graph
    watcher.show_until_seen(ARM, np.zeros(9), 10)
    watcher.frames.clear()
    for _ in range(3):
        looks = node.looks
        watcher.show(ARM, np.zeros(9), 10)
        wait_for(lambda looks=looks: node.looks > looks + 3)
    watcher.show_until_seen("leader_left", np.zeros(9), 40)
    assert watcher.stamp(ARM) == -1


def test_joints_are_found_by_name(graph) -> None:
    watcher, chain = graph[1], load_robot("aloha").arm(ARM).chain
    position = np.array([0.3, -0.9, 1.1, 0.5, -0.4, 0.7, 0.2])
    values = chain.joint_values(position)
    names = [*reversed(STATE_JOINTS), "another"]
    watcher.show_until_seen(ARM, [*reversed(values), 9.9], 10, names=names)
    wait_for(lambda: frame_id(ARM, "base_link") in watcher.frames)
    found = watcher.in_world(frame_id(ARM, "left_finger_link"))
    index = chain.index("left_finger_link")
    mount = load_robot("aloha").mounts[ARM]
    np.testing.assert_allclose(found, mount.matrix @ chain.forward(position)[index], atol=1e-9)


def test_joint_states_are_heard_only_while_somebody_listens_to_tf(graph) -> None:
    node, watcher = graph
    topic = f"/{ARM}/joint_states"
    wait_for(lambda: node.count_subscribers(topic) == 1)
    watcher.destroy_subscription(watcher.tf)
    wait_for(lambda: node.count_subscribers(topic) == 0)
    looks = node.looks
    wait_for(lambda: node.looks > looks + 3)
    assert node.count_subscribers(topic) == 0
    watcher.listen()
    wait_for(lambda: node.count_subscribers(topic) == 1)
    watcher.show_until_seen(ARM, np.zeros(9), 10)

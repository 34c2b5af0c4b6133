"""The policy's node with a small network, beside a robot that is stood in for."""

import contextlib
import os
import re
import shutil
import threading
import time
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from aloha_interfaces.msg import PolicyState
from aloha_interfaces.srv import LoadPolicy
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.cameras.jpeg import encode_rgb
from aloha_stack.nodes._chunks import read_chunk
from aloha_stack.nodes._conversions import fill_state, joint_state, set_stamp, stamp_ns
from aloha_stack.nodes._qos import IMAGES
from aloha_stack.nodes.policy import PolicyNode
from aloha_stack.policies.checkpoint import load
from aloha_stack.policies.policy import Observation
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.gripper import finger_from_joint
from aloha_stack.robot.joints import FOLLOWERS
from nodes.arm_rig import LATCHED, ModelTime, call, ros, spinning, wait_for, with_parameters
from policies.small_act import CONFIG, SPEC, policy, saved

DT_NS = 20_000_000
OPENING = 0.25


class Robot(Node):
    """Followers that stand, cameras of one colour each; silent where a stream is in `dead`."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__("robot", parameter_overrides=with_parameters(**parameters))
        self.robot = load_robot("twin")
        self.dead: set[str] = set()
        self.size = (480, 640)
        self.sent: set[int] = set()
        self.chunks: list[JointTrajectory] = []
        self.states: list[PolicyState] = []
        self.ages_s: list[float] = []
        self.create_subscription(JointTrajectory, "/policy/chunk", self._on_chunk, 100)
        self.create_subscription(PolicyState, "/policy/state", self.states.append, LATCHED)
        self._joints = {
            arm: self.create_publisher(JointState, f"/{arm}/joint_states", 5) for arm in FOLLOWERS
        }
        self._images = {
            name: self.create_publisher(CompressedImage, f"/{name}/image_raw/compressed", IMAGES)
            for name in SPEC.cameras
        }
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _on_chunk(self, message: JointTrajectory) -> None:
        age_ns = self.get_clock().now().nanoseconds - stamp_ns(message.header.stamp)
        self.ages_s.append(age_ns * 1e-9)
        self.chunks.append(message)

    def pose(self, arm: str) -> np.ndarray:
        at: np.ndarray = self.robot.arm(arm).start_pose.copy()
        at[-1] = self.robot.arm(arm).gripper.unnormalise_joint(OPENING)
        return at

    def pictures(self) -> dict[str, np.ndarray]:
        return {
            name: np.full((*self.size, 3), 60 + 100 * number, np.uint8)
            for number, name in enumerate(SPEC.cameras)
        }

    def _live(self) -> None:
        count = 0
        while not self._end.wait(0.02):
            count += 1
            now_ns = int(self.get_clock().now().nanoseconds)
            for arm, publisher in self._joints.items():
                message = joint_state()
                zeros = np.zeros(7)
                gripper = self.robot.arm(arm).gripper
                fill_state(message, self.pose(arm), zeros, zeros, gripper)
                set_stamp(message.header.stamp, now_ns)
                self.sent.add(now_ns)
                if arm not in self.dead:
                    publisher.publish(message)
            for name, picture in self.pictures().items():
                image = CompressedImage(format="jpeg", data=array("B", encode_rgb(picture, 90)))
                set_stamp(image.header.stamp, now_ns)
                if name not in self.dead:
                    self._images[name].publish(image)

    @property
    def last(self) -> PolicyState:
        return self.states[-1] if self.states else PolicyState()

    def says(self, state: int, words: str = "") -> None:
        wait_for(lambda: self.last.state == state and words in self.last.reason)

    def age_s(self, stream: str) -> float:
        """Of a stream, as the policy's reason has it; 0 if it tells of none."""
        told = re.search(rf"{stream} is ([\d.]+) s", self.last.reason)
        return float(told[1]) if told else 0.0

    def load(self, folder: Path) -> Any:
        return call(self, "/policy/load", LoadPolicy, checkpoint=str(folder))

    def run(self, data: bool = True) -> Any:
        return call(self, "/policy/run", SetBool, data=data)

    def more(self, count: int = 3) -> None:
        before = len(self.chunks)
        wait_for(lambda: len(self.chunks) >= before + count)


@contextlib.contextmanager
def policy_rig(**parameters: Any) -> Iterator[tuple[Robot, PolicyNode]]:
    """A robot beside an active policy node, in a ROS graph of its own."""
    with ros(), policy_nodes(**parameters) as nodes:
        yield nodes


@contextlib.contextmanager
def policy_nodes(**parameters: Any) -> Iterator[tuple[Robot, PolicyNode]]:
    """The same in a graph that is there."""
    with patch.dict(os.environ, ALOHA_PORTS="none"):
        given = with_parameters(robot="twin", autostart=False, **parameters)
        node = PolicyNode(parameter_overrides=given)
        robot = Robot(use_sim_time=parameters.get("use_sim_time", False))
        with spinning(robot), spinning(node):
            try:
                assert node.transition("configure")
                assert node.transition("activate")
                yield robot, node
            finally:
                node.close()
                node.time.close()
                robot.close()
        for one in (robot, node):
            one.destroy_node()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("policy") / "model")


def test_chunks_carry_the_stamp_of_what_was_seen_and_the_units_of_the_robot(folder: Path) -> None:
    with policy_rig(checkpoint=str(folder)) as (robot, _):
        robot.says(PolicyState.READY)
        assert not robot.chunks
        assert robot.run().success
        robot.more()
        robot.says(PolicyState.INFERRING)
        stamp, rows = read_chunk(robot.chunks[-1], DT_NS)
        assert stamp in robot.sent
        state = np.concatenate([robot.pose(arm) for arm in FOLLOWERS]).astype(np.float32)
        gripper = robot.robot.arm(FOLLOWERS[0]).gripper
        finger = finger_from_joint(float(state[6]), gripper.linkage)
        state[[6, 13]] = gripper.normalise_finger(finger)
        seen = {
            name: picture[: SPEC.image_size[0], : SPEC.image_size[1]]
            for name, picture in robot.pictures().items()
        }
        expected = load(folder).act(Observation(state, seen)).astype(float)
        for column, arm in zip((6, 13), FOLLOWERS, strict=True):
            gripper = robot.robot.arm(arm).gripper
            expected[:, column] = gripper.unnormalise_joint(expected[:, column])
        np.testing.assert_allclose(rows, expected, atol=0.02)
        stamps = [stamp_ns(chunk.header.stamp) for chunk in robot.chunks]
        assert sorted(set(stamps)) == stamps
        assert robot.run(False).success
        robot.says(PolicyState.READY)


def test_a_stream_that_falls_silent_stops_it_by_name_until_it_is_back(folder: Path) -> None:
    with policy_rig() as (robot, _):
        assert not robot.run().success
        answer = robot.load(folder)
        assert answer.success, answer.message
        assert (answer.task, answer.chunk, answer.rate) == ("transfer_cube", 5, 50.0)
        assert answer.cameras == list(SPEC.cameras)
        robot.run()
        robot.more()
        for stream in ("cam_low", "follower_right"):
            robot.dead = {stream}
            robot.says(PolicyState.STOPPED, f"{stream} is ")
            count = len(robot.chunks)
            wait_for(lambda stream=stream: robot.age_s(stream) >= 0.5)
            assert robot.last.state == PolicyState.STOPPED
            assert len(robot.chunks) == count
            robot.dead = set()
            robot.says(PolicyState.INFERRING)
            robot.more()
        assert robot.last.failures == 0


def test_a_camera_that_was_never_there_and_pictures_of_another_size_are_named(
    folder: Path,
) -> None:
    with policy_rig(checkpoint=str(folder)) as (robot, _):
        robot.dead = {"cam_high"}
        robot.run()
        robot.says(PolicyState.STOPPED, "cam_high")
        robot.dead, robot.size = set(), (240, 320)
        robot.says(PolicyState.STOPPED, "has 320×240 pixels instead of 640×480")
        assert robot.last.failures > 0
        robot.size = (480, 640)
        robot.says(PolicyState.INFERRING)


def test_a_network_that_gives_no_numbers_stops_by_name(folder: Path) -> None:
    with policy_rig(checkpoint=str(folder), backend="eager") as (robot, node):
        robot.run()
        robot.more()
        assert node.inference is not None
        network = node.inference.policy.network  # type: ignore[union-attr]
        good = {name: value.clone() for name, value in network.state_dict().items()}
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(float("nan"))
        robot.says(PolicyState.STOPPED, "NaN")
        count = len(robot.chunks)
        wait_for(lambda: robot.last.failures > 3)
        assert len(robot.chunks) == count
        network.load_state_dict(good)
        robot.says(PolicyState.INFERRING)
        robot.more()


def test_in_a_slow_world_chunks_may_take_as_much_of_its_time_as_of_the_walls(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thinks_s = 0.2
    with ros():
        clock = ModelTime(0.2)
        try:
            for real in (False, True):
                with policy_nodes(use_sim_time=True, real_inference=real) as (robot, node):
                    wait_for(lambda node=node: node.time.now_ns() > 0)
                    assert robot.load(folder).success
                    assert node.inference is not None
                    act = node.inference.policy.act  # type: ignore[union-attr]
                    monkeypatch.setattr(
                        node.inference.policy,
                        "act",
                        lambda seen, act=act: (time.sleep(thinks_s), act(seen))[1],
                    )
                    robot.run()
                    robot.more(4)
                    assert (min(robot.ages_s) >= thinks_s) == real
                    robot.run(False)
        finally:
            clock.close()
            clock.destroy_node()


def test_checkpoints_that_do_not_fit_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    other_robot = policy(spec=replace(SPEC, robot="koch"))
    other_cameras = policy(spec=replace(SPEC, cameras=("cam_high", "cam_top")))
    other_rate = policy(spec=replace(SPEC, rate_hz=30.0))
    one_row = policy(replace(CONFIG, chunk=1))
    short = shutil.copytree(folder, tmp_path / "short")
    weights = short / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    pickled = tmp_path / "policy.ckpt"
    pickled.write_bytes(b"x")
    wrong = {
        saved(tmp_path / "robot", other_robot): "trained on robot 'koch', this is 'twin'",
        saved(tmp_path / "cameras", other_cameras): "needs cam_top",
        saved(tmp_path / "rate", other_rate): "rate is 30 Hz; the player plays 50 rows per second",
        saved(tmp_path / "row", one_row): "have 1 rows; 2 to 500 can be merged",
        short: "model.safetensors",
        pickled: "pickled",
        tmp_path / "nothing": "no such folder",
    }
    with policy_rig() as (robot, _):
        for path, words in wrong.items():
            answer = robot.load(path)
            assert not answer.success
            assert words in answer.message
            robot.says(PolicyState.UNLOADED, words)
        assert "no policy is loaded" in robot.run().message
        assert robot.load(folder).success
        robot.run()
        robot.more()
        assert "end the rollout first" in robot.load(folder).message


def test_a_policy_whose_camera_was_not_chosen_for_this_graph_is_refused_by_name(
    folder: Path,
) -> None:
    with policy_rig(camera_names="cam_high,cam_left_wrist") as (robot, _):
        answer = robot.load(folder)
        assert "needs cam_low; robot 'twin' has cam_high, cam_left_wrist" in answer.message
        assert f"start with camera_names:={','.join(SPEC.cameras)}" in answer.message


def test_a_checkpoint_that_stays_refused_is_told_once_and_to_whoever_asks(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    given = with_parameters(
        robot="twin",
        autostart=False,
        checkpoint=str(copy),
        camera_names="cam_high,cam_left_wrist",
    )
    with ros(), patch.dict(os.environ, ALOHA_PORTS="none"):
        node, robot = PolicyNode(parameter_overrides=given), Robot()
        with spinning(node), spinning(robot):
            try:
                for _ in range(3):
                    assert not node.transition("configure")
                    robot.says(PolicyState.UNLOADED, "needs cam_low")
                said = capfd.readouterr().err
                assert said.count("needs cam_low") == said.count("LOADING") == 1, said
                for answer in (robot.load(copy), robot.run()):
                    assert not answer.success
                    assert "needs cam_low" in answer.message
                shutil.rmtree(copy)
                for _ in range(2):
                    assert not node.transition("configure")
                    robot.says(PolicyState.UNLOADED, "no such folder")
                said = capfd.readouterr().err
                assert said.count("no such folder") == 1, said
                assert "needs cam_low" not in said
            finally:
                node.close()
                node.time.close()
                robot.close()
        node.destroy_node()
        robot.destroy_node()


def test_a_node_whose_checkpoint_is_wrong_says_so_and_is_not_configured(tmp_path: Path) -> None:
    with ros(), patch.dict(os.environ, ALOHA_PORTS="none"):
        given = with_parameters(robot="twin", autostart=False, checkpoint=str(tmp_path / "nothing"))
        node, robot = PolicyNode(parameter_overrides=given), Robot()
        with spinning(node), spinning(robot):
            assert not node.transition("configure")
            robot.says(PolicyState.UNLOADED, "no such folder")
            node.close()
            node.time.close()
            robot.close()
        node.destroy_node()
        robot.destroy_node()

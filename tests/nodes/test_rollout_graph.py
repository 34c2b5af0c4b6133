"""A small network through the whole graph of rollout.launch.xml on the twin."""

import contextlib
import threading
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import CompressedImage

from aloha_stack.cameras.jpeg import encode_rgb
from aloha_stack.episodes.alignment import align
from aloha_stack.episodes.commanders import counted
from aloha_stack.episodes.reader import Episode
from aloha_stack.evaluation.plan import twin
from aloha_stack.graph import Graph
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._node import SimpleNode
from aloha_stack.nodes._qos import IMAGES
from aloha_stack.robot.joints import FOLLOWERS
from aloha_stack.twin.snapshots import SnapshotReader
from aloha_stack.twin.world import World
from nodes.arm_rig import spinning, with_parameters
from policies.small_act import CONFIG, SPEC, policy, saved

CHUNK = 50
SEED = 6
STEPS = 40


@contextlib.contextmanager
def cameras() -> Iterator[None]:
    """One picture again and again, in model time: rendering takes longer than all the rest."""
    rclpy.init()
    node = SimpleNode("cameras", parameter_overrides=with_parameters(use_sim_time=True))
    picture = array("B", encode_rgb(np.full((480, 640, 3), 90, np.uint8), 90))
    publishers = [
        node.create_publisher(CompressedImage, f"/{name}/image_raw/compressed", IMAGES)
        for name in SPEC.cameras
    ]
    end = threading.Event()

    def show() -> None:
        while not end.wait(0.02):
            image = CompressedImage(format="jpeg", data=picture)
            set_stamp(image.header.stamp, node.time.now_ns())
            for publisher in publishers:
                publisher.publish(image)

    thread = threading.Thread(target=show)
    with spinning(node):
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
            node.time.close()
    node.destroy_node()
    rclpy.try_shutdown()


def seen_box(file: Path) -> np.ndarray:
    """Its pose (7,) in the world that left its states in `file`."""
    reader = SnapshotReader(file, "test")
    reader.skip_to_newest()
    snapshot = reader.next(5.0)
    reader.close()
    assert snapshot is not None
    return snapshot.qpos[-7:]


def settled_box() -> np.ndarray:
    """Where an evaluation without ROS has it, once it lies on the table."""
    world = World("transfer_cube", SEED, twin(), "start")
    while world.time_s < 0.4:
        world.step()
    return world.qpos()[-7:]


def test_a_rollout_begins_as_without_ros_and_moves_both_followers_without_an_untold_gap_or_a_jump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = saved(
        tmp_path / "model", policy(replace(CONFIG, chunk=CHUNK), replace(SPEC, chunk=CHUNK))
    )
    arguments = {"robot": "twin", "cameras": "false", "record_cameras": "false"}
    arguments |= {"description": "false", "directory": str(tmp_path / "episodes")}
    words = ("--record", "--checkpoint", str(model), "--steps", str(STEPS), "--seeds", str(SEED))
    with Graph("rollout", arguments, tmp_path / "log") as graph:
        for name, value in graph.environment.items():
            monkeypatch.setenv(name, value)
        box = np.zeros(0)
        with cameras():
            for event in graph.session("rollout", *words):
                if event["event"] == "progress" and not box.size:
                    box = seen_box(Path(graph.environment["ALOHA_PORTS"]) / "world")
                rollout = event
    np.testing.assert_allclose(box, settled_box(), atol=1e-6)
    assert (rollout["event"], rollout["message"]) == ("episode", "")
    # A process may be kept from running for a tick; that is told, and nothing else makes a gap.
    assert rollout["gaps"] <= rollout["overruns"]
    assert rollout["jumps"] == 0
    assert rollout["commands"] >= STEPS
    assert rollout["duration"] >= STEPS * 0.02
    episode = Episode(Path(rollout["path"]))
    assert (episode.info.seed, episode.info.outcome) == (SEED, "failure")
    commanded = counted(align(episode).commander)
    assert commanded["policy"] > STEPS / 2
    assert set(commanded) == {
        "nobody",
        "policy",
    }  # nobody before the first chunk and after the last
    for follower in FOLLOWERS:
        topic = f"/{follower}/command_executed"
        executed = episode.joints(topic)[topic].position
        # The first that was recorded: by then the policy may have moved a servo tick or two.
        np.testing.assert_allclose(executed[0], twin().arm(follower).start_pose, atol=0.01)
        assert np.abs(executed[-1] - executed[0]).max() > 0.01

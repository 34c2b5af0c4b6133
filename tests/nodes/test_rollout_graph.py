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
from aloha_stack.graph import Graph
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._node import SimpleNode
from aloha_stack.nodes._qos import IMAGES
from aloha_stack.robot.joints import FOLLOWERS
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


def test_commands_flow_to_both_followers_without_a_gap(
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
        with cameras():
            *_, rollout = graph.session("rollout", *words)
    assert (rollout["event"], rollout["message"]) == ("episode", "")
    assert (rollout["gaps"], rollout["jumps"]) == (0, 0)
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
    for topic in [f"/{follower}/command_executed" for follower in FOLLOWERS]:
        executed = episode.joints(topic)[topic]
        assert np.abs(executed.position[-1] - executed.position[0]).max() > 0.01

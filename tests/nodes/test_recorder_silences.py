"""Silent streams are noted in the seconds of the episode, whatever the wall says."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.logging import get_logger

from aloha_stack.episodes.metadata import EpisodeInfo, noted_silences
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.recording import Ending, Recording
from aloha_stack.episodes.streams import JOINT_QOS, Stream
from aloha_stack.episodes.summary import summarise
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.nodes._recorder_silences import Silences
from aloha_stack.nodes._recorder_taps import Taps
from episodes.sample_episodes import START_NS, joint_bytes, topic
from unstalled import unstalled

ONE, OTHER = "/follower_left/joint_states", "/follower_right/joint_states"
TOLD_S = 0.03


class World:
    """Two streams of 100 Hz on a clock that goes as told, and who watches them."""

    def __init__(self, directory: Path) -> None:
        self.now_ns = START_NS
        streams = [Stream(n, "sensor_msgs/msg/JointState", JOINT_QOS, True) for n in (ONE, OTHER)]
        nobody: Any = None  # nothing is subscribed here
        self.taps = Taps(nobody, streams, lambda: self.now_ns)
        self._hear = {t.stream.name: self.taps.listener(t) for t in self.taps.all}
        logger = get_logger("silences")
        logger.set_level(LoggingSeverity.ERROR)
        self.silences = Silences(logger, self.taps, TOLD_S)
        writer = EpisodeWriter(directory, [topic(ONE), topic(OTHER)], EpisodeInfo(robot="twin"))
        self.recording = Recording(writer, self.now_ns)
        self.taps.recording = self.recording
        for tap in self.taps.all:
            tap.heard_ns = tap.stamp_ns = self.now_ns
        self.silences.begin(time.monotonic())

    def run(self, seconds: float, *speaking: str, age_ns: int = 0) -> None:
        """Model time in an instant; only `speaking` are heard."""
        for _ in range(round(seconds * 100)):
            for name in speaking:
                data = joint_bytes(self.now_ns - age_ns, [0.0] * 7)
                self._hear[name](data, {"publication_sequence_number": None})
            self.now_ns += 10_000_000

    def look(self) -> None:
        self.silences.look(self.recording, time.monotonic(), self.now_ns)

    def be_silent(self, seconds: float, age_ns: int = 0) -> None:
        """ONE is; the wall goes by a little."""
        self.run(seconds, OTHER, age_ns=age_ns)
        time.sleep(2 * TOLD_S)
        self.run(0.01, OTHER, age_ns=age_ns)
        self.look()

    def end(self) -> Path:
        self.recording.end(Ending("success"), self.now_ns)
        kept = self.recording.wait(10.0)
        assert kept is not None
        assert kept.path is not None
        return kept.path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with unstalled(), _ended(World(tmp_path)) as made:
        yield made


@contextmanager
def _ended(world: World) -> Iterator[World]:
    yield world
    world.end()


@pytest.mark.parametrize("age_ns", [0, 40_000_000])
def test_a_silence_is_as_long_as_the_gap_that_the_list_shows(world: World, age_ns: int) -> None:
    """Thousands of times faster than the wall; messages may need their time to arrive."""
    world.run(1.0, ONE, OTHER, age_ns=age_ns)
    world.be_silent(3.27, age_ns)
    assert "nothing from" in world.silences.words(time.monotonic())[0]
    world.run(0.5, ONE, OTHER, age_ns=age_ns)
    world.look()
    assert world.silences.words(time.monotonic()) == [f"{ONE} is back after 3.29 s of silence"]
    reasons = summarise(world.end()).reasons
    assert f"{ONE} was silent for 3.29 s" in reasons
    assert any(reason.startswith(f"{ONE} has a gap of 3.29 s") for reason in reasons)


def test_a_short_silence_of_a_slow_world_is_told_and_not_noted(world: World) -> None:
    world.run(0.5, ONE, OTHER)
    world.be_silent(0.4)
    time.sleep(3 * TOLD_S)
    world.look()
    assert world.silences.words(time.monotonic()) == [
        f"nothing from {ONE} for 0.4 s: recording goes on"
    ]
    world.run(0.5, ONE, OTHER)
    world.look()
    assert noted_silences(Episode(world.end()).info) == {}


def test_a_silence_during_a_pause_is_none(world: World) -> None:
    world.run(0.5, ONE, OTHER)
    world.look()
    assert world.recording.pause(world.now_ns)
    world.run(5.0, OTHER)
    time.sleep(2 * TOLD_S)
    assert world.recording.resume(world.now_ns)
    world.silences.go_on(time.monotonic())
    world.run(0.05, OTHER)  # ONE has its time to speak again
    world.look()
    world.run(0.5, ONE, OTHER)
    world.look()
    assert world.silences.words(time.monotonic()) == []
    assert noted_silences(Episode(world.end()).info) == {}


def test_a_silence_that_a_pause_interrupts_counts_from_the_resumption(world: World) -> None:
    world.run(0.5, ONE, OTHER)
    assert world.recording.pause(world.now_ns)
    world.run(5.0, OTHER)
    assert world.recording.resume(world.now_ns)
    world.silences.go_on(time.monotonic())
    world.be_silent(3.2)
    world.run(0.5, ONE, OTHER)
    world.look()
    assert noted_silences(Episode(world.end()).info) == {ONE: 3.21}


def test_the_longest_of_several_silences_is_noted(world: World) -> None:
    for seconds in (3.5, 4.5, 3.1):
        world.run(0.5, ONE, OTHER)
        world.look()
        world.be_silent(seconds)
    world.run(0.5, ONE, OTHER)
    world.look()
    assert noted_silences(Episode(world.end()).info) == {ONE: 4.52}


def test_stamps_of_another_clock_make_nobody_silent(world: World) -> None:
    year_ns = 31_557_600 * 1_000_000_000
    world.run(0.5, ONE, OTHER, age_ns=-year_ns)
    world.be_silent(3.2, -year_ns)
    world.run(0.5, ONE, OTHER, age_ns=-year_ns)
    world.look()
    assert noted_silences(Episode(world.end()).info) == {ONE: 3.22}

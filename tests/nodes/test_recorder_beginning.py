"""How a recording begins: whether it can, in which world, and at another's end."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.recording import Recording
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.nodes import recorder
from aloha_stack.nodes._recorder_take import Take, Wanted
from aloha_stack.nodes._recorder_taps import Taps
from nodes.recorder_rig import Graph, graph_maker, result_of, wait_for

__all__ = ["graph_maker"]  # pytest finds the fixture by its presence here


@pytest.mark.parametrize(
    ("asked", "seed"), [({}, 1005), ({"seed": -1}, 1005), ({"seed": 0}, 1005), ({"seed": 4}, 1005)]
)
def test_an_episode_has_the_seed_of_the_twins_present_world_whatever_is_asked_for(
    tmp_path: Path, make_graph: Callable[..., Graph], asked: dict[str, int], seed: int
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    graph.tell_world(3)
    graph.tell_world(1005)
    handle = graph.start(**asked)
    wait_for(lambda: graph.recorder.take is not None)
    graph.stop()
    assert Episode(result_of(handle).path).info.seed == seed


@pytest.mark.parametrize("asked", [-1, 0, 4])
def test_where_no_world_has_been_told_of_since_the_activation_the_seed_is_what_was_asked_for(
    tmp_path: Path, make_graph: Callable[..., Graph], asked: int
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    graph.tell_world(1005)
    assert graph.recorder.transition("deactivate")
    assert graph.recorder.transition("activate")
    graph.wait_for_streams()
    take = graph.recorder.begin(Wanted(seed=asked))
    assert isinstance(take, Take)
    graph.stop()
    assert take.over.wait(10.0)
    assert Episode(take.recording.path).info.seed == asked


def test_a_recorder_whose_folder_cannot_be_made_says_so_once_and_not_that_it_is_ready(
    make_graph: Callable[..., Graph], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    in_the_way = tmp_path / "episodes"
    in_the_way.write_text("no folder")
    graph = make_graph(in_the_way)
    said = capfd.readouterr().err
    assert said.count(f"no recording will start: the output folder {in_the_way} cannot be") == 1
    assert "ready to record" not in said
    assert graph.recorder.transition("deactivate")
    in_the_way.unlink()
    assert graph.recorder.transition("activate")
    said = capfd.readouterr().err
    assert "ready to record" in said
    assert "no recording will start" not in said


@pytest.mark.parametrize("end", ["deactivate", "close"])
def test_a_recording_that_is_being_begun_as_the_recorder_is_deactivated_leaves_nothing(
    tmp_path: Path, make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    begun, ended = threading.Event(), threading.Event()

    def slow(*given: Any) -> EpisodeWriter:
        writer = EpisodeWriter(*given)
        begun.set()
        wait_for(lambda: graph.recorder.state != "active")
        assert not ended.wait(0.2)  # who deactivates waits for it
        return writer

    monkeypatch.setattr(recorder, "EpisodeWriter", slow)
    handle = graph.start()
    assert begun.wait(10.0)
    if end == "close":
        graph.recorder.close()
    else:
        assert graph.recorder.transition("deactivate")
    ended.set()
    result = result_of(handle)
    assert not result.kept
    assert "the recorder is deactivating; activate it first" in result.message
    assert graph.recorder.take is None
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_was_begun_just_before_the_recorder_is_deactivated_is_closed(
    tmp_path: Path, make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    begun = threading.Event()

    def slow(*given: Any) -> Recording:
        begun.set()
        wait_for(lambda: graph.recorder.state != "active")
        time.sleep(0.2)  # its deactivation has looked by now who is recording
        return Recording(*given)

    monkeypatch.setattr(recorder, "Recording", slow)
    handle = graph.start()
    assert begun.wait(10.0)
    graph.recorder.close()
    result = result_of(handle)
    assert (result.kept, result.outcome) == (True, "interrupted")
    assert Episode(result.path).info.outcome == "interrupted"


def test_a_recording_that_begins_as_another_ends_loses_nothing(
    tmp_path: Path, make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    answers: list[Take | str] = []

    class Between(Taps):
        """Begins a recording at the moment in which the one before is taken off the taps."""

        @property
        def recording(self) -> Recording | None:
            return self.on

        @recording.setter
        def recording(self, recording: Recording | None) -> None:
            if recording is None:
                answers.append(graph.recorder.begin(Wanted()))
            self.on = recording

    graph.recorder.taps.on = None  # type: ignore[attr-defined]
    graph.recorder.taps.__class__ = Between
    handle = graph.start()
    graph.stop()
    assert result_of(handle).kept
    (answer,) = answers
    if isinstance(answer, Take):  # then its messages have to arrive
        wait_for(lambda: answer.recording.messages > 0)
    else:
        assert "is being recorded" in answer

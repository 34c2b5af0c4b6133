"""What of a recording's time counts; pauses in the metadata; room on the disk; relabelling."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.keeping import relabel, set_aside
from aloha_stack.episodes.metadata import (
    EpisodeInfo,
    pause_notes,
    pauses,
    read_metadata,
    write_metadata,
)
from aloha_stack.episodes.room import ByteRate, Room, minutes
from aloha_stack.episodes.timeline import Timeline
from aloha_stack.episodes.writer import EpisodeWriter
from episodes.sample_episodes import topic

S = 1_000_000_000


@given(st.integers(0, 10**18), st.lists(st.tuples(st.booleans(), st.integers(0, 10 * S))))
def test_recorded_time_is_the_time_outside_of_pauses(
    began: int, steps: list[tuple[bool, int]]
) -> None:
    timeline, now, recorded = Timeline(began), began, 0
    for pause, length in steps:
        (timeline.pause if pause else timeline.resume)(now)
        recorded += 0 if timeline.paused else length
        now += length
        assert timeline.recorded_s(now) == pytest.approx(recorded * 1e-9)
    timeline.end(now)
    assert not timeline.paused
    assert timeline.recorded_s(now + S) == pytest.approx(recorded * 1e-9)
    assert all(end is not None and begin <= end for begin, end in timeline.pauses)
    assert not timeline.pause(now)


def test_time_that_runs_backwards_counts_as_none() -> None:
    timeline = Timeline(10 * S)
    timeline.pause(12 * S)
    timeline.resume(5 * S)
    assert timeline.pauses == ((12 * S, 12 * S),)
    assert Timeline(10 * S).recorded_s(5 * S) == 0


def test_the_stretch_that_counts_begins_with_the_last_resume() -> None:
    timeline = Timeline(1)
    assert timeline.counts_since_ns == 1
    assert timeline.pause(3)
    assert not timeline.pause(4)
    assert timeline.resume(7)
    assert not timeline.resume(8)
    assert timeline.counts_since_ns == 7


def test_pauses_come_back_from_the_metadata_as_they_were() -> None:
    some = ((5, 7), (11, None))
    assert pauses(EpisodeInfo(notes=pause_notes(some))) == some
    assert pause_notes(()) == {}
    assert pauses(EpisodeInfo()) == ()


@pytest.mark.parametrize("note", ["{}", "[1, 2]", "[[1]]", '[["1", 2]]', "[[null, 2]]"])
def test_a_note_about_pauses_of_another_form_is_refused(note: str) -> None:
    with pytest.raises(ValueError, match="expected a JSON list of"):
        pauses(EpisodeInfo(notes={"pauses": note}))


def test_room_follows_from_what_came_in_the_last_seconds() -> None:
    rate = ByteRate()
    assert rate.per_s is None
    for step in range(200):  # 100 MB/s, after ten seconds of nothing
        rate.saw(step * S // 10, max(0, step - 99) * 10_000_000)
    assert rate.per_s == pytest.approx(100e6)
    room = Room(free_gib=10.1, reserve_gib=0.1, per_s=rate.per_s)
    assert room.seconds == pytest.approx(10 * (1 << 30) / 100e6)
    assert room.shortage(100.0) == ""
    assert "room for 1.8 min" in room.shortage(110.0)
    assert Room(0.0, 0.1, None).shortage(1e9) == ""
    rate.saw(0, 0)  # time began anew
    assert rate.per_s is None


def test_times_are_said_as_people_say_them() -> None:
    assert [minutes(s) for s in (12.3, 90, 5400, 36_000)] == ["12 s", "1.5 min", "90 min", "10 h"]


def test_a_label_changes_nothing_else_also_in_a_bag_of_another_recorder(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo(task="t", notes={"own": "note"}))
    with pytest.raises(EpisodeError, match="is not closed"):
        relabel(writer.path, "success", [])
    writer.finish("", ["old"])
    before = read_metadata(writer.path)
    relabel(writer.path, "success", ["new"])
    after = read_metadata(writer.path)
    expected = {**before["custom_data"], "outcome": "success", "labels": json.dumps(["new"])}
    assert after == {**before, "custom_data": expected}
    foreign = {**before, "custom_data": None}
    write_metadata(writer.path, foreign)
    relabel(writer.path, "failure", [])
    assert read_metadata(writer.path)["custom_data"] == {"outcome": "failure", "labels": "[]"}


def test_what_is_set_aside_never_replaces_anything(tmp_path: Path) -> None:
    episode = tmp_path / "episode_000000"
    (tmp_path / "discarded" / episode.name).mkdir(parents=True)
    episode.mkdir()
    with pytest.raises(FileExistsError, match="move it away first"):
        set_aside(episode)
    assert episode.is_dir()

"""What an episode says of its simulated world."""

from pathlib import Path

import pytest

from aloha_stack.episodes.keeping import note
from aloha_stack.episodes.metadata import EpisodeInfo, read_metadata
from aloha_stack.episodes.world_notes import (
    POSITION,
    NotedPosition,
    noted_position,
    noted_variation,
    world_notes,
)
from aloha_stack.episodes.writer import EpisodeWriter


def test_variation_and_position_come_back_from_the_disk(tmp_path: Path) -> None:
    path = EpisodeWriter(tmp_path, [], EpisodeInfo(task="pick_place", seed=3)).finish("success")
    position = NotedPosition("B", 0.25, 0.01)
    note(path, world_notes("untaught,light", position))
    info = EpisodeInfo.from_custom_data(read_metadata(path)["custom_data"])
    assert (noted_variation(info), noted_position(info)) == ("untaught,light", position)
    assert (info.task, info.seed, info.outcome) == ("pick_place", 3, "success")


def test_where_nothing_is_varied_nothing_is_noted() -> None:
    assert world_notes("", None) == {}
    assert noted_position(EpisodeInfo()) is None
    assert noted_variation(EpisodeInfo()) == ""


@pytest.mark.parametrize("text", ["B", "[1]", '{"name": "B"}', '{"name": "B", "share": "far"}'])
def test_a_note_that_is_no_position_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected an object with name, share and x_m"):
        noted_position(EpisodeInfo(notes={POSITION: text}))

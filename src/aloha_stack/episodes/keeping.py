"""What can be done to an episode that was kept: labelling it, noting more, setting it aside."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import DISCARDED
from aloha_stack.episodes.metadata import RECORDING, read_metadata, write_metadata


def relabel(episode: Path, outcome: str, labels: Sequence[str]) -> None:
    """Replaces the outcome and the labels in the metadata, at once or not at all.

    Everything else stays as it is, also in a bag of another recorder. Raises EpisodeError for a
    folder that is no episode, or one that is being recorded; OSError if it cannot be written.
    """
    unique = list(dict.fromkeys(labels))
    note(episode, {"outcome": outcome, "labels": json.dumps(unique)})


def note(episode: Path, notes: Mapping[str, str]) -> None:
    """Adds notes to the metadata, or replaces them, in the same way, with the same errors."""
    information = read_metadata(episode)
    noted = information.get("custom_data")
    data = dict(noted) if isinstance(noted, dict) else {}
    if data.get("outcome") == RECORDING:
        raise EpisodeError(
            f"{episode} is not closed: label it when it is stopped (after a crash: "
            "./aloha episodes repair)"
        )
    write_metadata(episode, {**information, "custom_data": {**data, **notes}})


def set_aside(episode: Path) -> Path:
    """Moves an episode into the folder of the discarded beside it; where it is then.

    Nothing is deleted, and its number is not given again. Raises OSError.
    """
    folder = episode.parent / DISCARDED
    folder.mkdir(exist_ok=True)
    target = folder / episode.name
    if target.exists():
        raise FileExistsError(f"{target} exists already; move it away first")
    return episode.rename(target)

"""Closes what a dead recorder left: after a kill -9, a full disk, a loss of power.

It is done in place: what is kept is not copied, so that it takes seconds and a full disk has room
for it. Only bytes that nobody can read are cut off; any others are saved in a file beside first.
An interrupted repair leaves a file that can be repaired as before.
"""

import contextlib
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from mcap.exceptions import McapError
from mcap.reader import make_reader

from aloha_stack.episodes.columns_file import COLUMNS, columns_path
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import sync_folder
from aloha_stack.episodes.mcap_output import InUse, McapOutput, lock
from aloha_stack.episodes.mcap_records import Contents, OpenChunk, file_head, footer_of
from aloha_stack.episodes.mcap_salvage import Salvage, salvage
from aloha_stack.episodes.mcap_topics import topics_of
from aloha_stack.episodes.metadata import (
    BAG_NOTE,
    FILE_NAME,
    RECORDING,
    REPAIRED,
    START_NOTE,
    EpisodeInfo,
    Tally,
    bag_information,
    bag_note,
    read_metadata,
    write_metadata,
)
from aloha_stack.episodes.recording import INTERRUPTED

WHOLE, REPAIRABLE, DONE = "whole", "to be repaired", "repaired"


@dataclass(frozen=True)
class Repair:
    """What was found in an episode, and what was (or, in a dry run, would be) done."""

    path: Path
    state: str  # WHOLE, REPAIRABLE (dry run) or DONE
    messages: int = 0
    seconds: float = 0.0
    size: int = 0  # bytes of recorded data that are kept
    cut: int = 0  # bytes that are not
    saved: Path | None = None  # where they are, if they may be of use
    what: str = ""  # in words

    @property
    def cut_s(self) -> float:
        """For how long the recorder would have recorded as many bytes."""
        return self.cut * self.seconds / self.size if self.size else 0.0


def repair(episode: Path, dry_run: bool = False) -> Repair:
    """Makes an episode whole; does nothing to one that is, nor in a `dry_run`.

    Raises EpisodeError for what is no episode or is being recorded; OSError (disk full), and then
    the episode can be repaired later as well as before.
    """
    path = _file_of(episode)
    with _opened(path, dry_run) as descriptor:
        if not os.fstat(descriptor).st_size:
            raise _nothing(episode, f"{path.name} is empty")
        information = _known(episode)
        info = _info_of(information)
        closed = footer_of(descriptor) is not None
        if closed and info is not None and info.outcome != RECORDING and _fits(information, path):
            return Repair(episode, WHOLE)
        found = _summary(path, descriptor) if closed else salvage(descriptor, path)
        done = Repair(
            episode,
            REPAIRABLE if dry_run else DONE,
            _messages(found),
            _seconds(found),
            found.kept,
            found.cut,
            _beside(path) if found.strange else None,
            _words(found, closed, information),
        )
        if not dry_run:
            info = _noted(info, found, done.what)
            _apply(descriptor, path, found, info, closed, done.saved)
    return done


# -- what there is --------------------------------------------------------------------------


def _file_of(episode: Path) -> Path:
    """The one MCAP file of an episode."""
    if not episode.is_dir():
        raise EpisodeError(f"no episode at {episode}; give a folder such as DIR/episode_000000")
    files = sorted(episode.glob("*.mcap"))
    if len(files) == 1:
        return files[0]
    if files:
        raise EpisodeError(
            f"{episode} has {len(files)} MCAP files; only recordings of one file can be repaired "
            "here (try ros2 bag reindex)"
        )
    own = (FILE_NAME, f"{FILE_NAME}.new", COLUMNS)
    others = [item.name for item in episode.iterdir() if not item.name.endswith(own)]
    if others:
        raise EpisodeError(
            f"{episode} is not an episode: it has no MCAP file, but {', '.join(sorted(others)[:3])}"
        )
    raise _nothing(episode, "it has no MCAP file")


def _nothing(episode: Path, why: str) -> EpisodeError:
    """Of an episode without a byte of messages: to close it would hide what is missing."""
    information = _known(episode)
    noted = information.get("message_count") if information else None
    told = f" ({FILE_NAME} tells of {noted} messages)" if noted else ""
    return EpisodeError(
        f"{episode} has nothing that could be repaired: {why}{told}; put the file back if it was "
        "moved, or remove the folder"
    )


@contextlib.contextmanager
def _opened(path: Path, dry_run: bool) -> Iterator[int]:
    """The file, locked: no recorder writes it, and no other repair."""
    try:
        descriptor = os.open(path, (os.O_RDONLY if dry_run else os.O_RDWR) | os.O_CLOEXEC)
    except OSError as error:
        raise EpisodeError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        lock(descriptor, path)
        yield descriptor
    except InUse as error:
        raise EpisodeError(
            f"{path.parent} {error.strerror}; stop the recorder first (/recorder/stop)"
        ) from error
    finally:
        os.close(descriptor)


def _known(episode: Path) -> dict[str, Any] | None:
    """The metadata, if it can be read."""
    try:
        return read_metadata(episode)
    except EpisodeError:
        return None


def _info_of(information: dict[str, Any] | None) -> EpisodeInfo | None:
    if information is None:
        return None
    try:
        return EpisodeInfo.from_custom_data(information.get("custom_data") or {})
    except (AttributeError, TypeError, ValueError):
        return None


def _fits(information: dict[str, Any] | None, path: Path) -> bool:
    return information is not None and information["relative_file_paths"] == [path.name]


def _summary(path: Path, descriptor: int) -> Salvage:
    """What the end of a closed file says of it."""
    size = os.fstat(descriptor).st_size
    try:
        with path.open("rb") as file:
            reader = make_reader(file)
            summary = reader.get_summary()
            notes = {note.name: note.metadata for note in reader.iter_metadata()}
    except (McapError, struct.error, ValueError) as error:
        raise EpisodeError(f"the end of {path} is damaged: {error!r}") from error
    contents = Contents()
    if summary is not None:
        contents = Contents(dict(summary.schemas), dict(summary.channels))
        if summary.statistics is not None:
            counted = summary.statistics
            contents.counts = dict(counted.channel_message_counts)
            contents.first_ns = counted.message_start_time
            contents.last_ns = counted.message_end_time
    return Salvage(size, size, contents, notes=notes)


def _messages(found: Salvage) -> int:
    return found.contents.messages + (found.last.chunk.messages if found.last else 0)


def _seconds(found: Salvage) -> float:
    parts: list[Contents | OpenChunk] = [found.contents]
    if found.last is not None:
        parts.append(found.last.chunk)
    first = [part.first_ns for part in parts if part.first_ns is not None]
    return (max(part.last_ns for part in parts) - min(first)) * 1e-9 if first else 0.0


def _words(found: Salvage, closed: bool, information: dict[str, Any] | None) -> str:
    """What was wrong."""
    words = []
    if not closed:
        words.append("the recording was cut off")
        if found.cut:
            kind = "could not be understood" if found.strange else "were no whole message"
            words.append(f"{found.cut} bytes at its end {kind}")
    noted, messages = (information or {}).get("message_count"), _messages(found)
    if information is None:
        words.append(f"{FILE_NAME} was missing or broken")
    elif isinstance(noted, int) and noted > messages:
        words.append(f"{noted - messages} of the {noted} messages told of in {FILE_NAME} are gone")
    elif closed:
        words.append(f"{FILE_NAME} had not been completed")
    return "; ".join(words)


# -- what is done ---------------------------------------------------------------------------


def _noted(info: EpisodeInfo | None, found: Salvage, what: str) -> EpisodeInfo:
    """What is to be said of the episode; as much as is known from somewhere."""
    copy = found.notes.get(BAG_NOTE, {}).get("serialized_metadata", "")
    at_end = _info_of(_loaded(copy)) if copy else None
    begun = None
    if START_NOTE in found.notes:
        begun = _info_of({"custom_data": found.notes[START_NOTE]})
    if info is None or (info.outcome == RECORDING and at_end is not None):
        info = at_end or begun or EpisodeInfo()
    outcome = INTERRUPTED if info.outcome == RECORDING else info.outcome
    today = datetime.now(timezone.utc).date().isoformat()
    earlier = info.notes.get(REPAIRED)
    note = f"{earlier}; {today}: {what}" if earlier else f"{today}: {what}"
    return replace(info, outcome=outcome, notes={**info.notes, REPAIRED: note})


def _loaded(text: str) -> dict[str, Any] | None:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if isinstance(document, dict):
        return document.get("rosbag2_bagfile_information", document)
    return None


def _apply(
    descriptor: int, path: Path, found: Salvage, info: EpisodeInfo, closed: bool, saved: Path | None
) -> None:
    if saved is not None:
        _save(descriptor, found.kept, saved)
    contents = found.contents
    output = McapOutput(descriptor, found.kept, contents)
    if not closed:
        columns_path(path).unlink(missing_ok=True)  # of what the recorder meant to write
        os.ftruncate(descriptor, found.kept)
        if not found.kept:
            output.append(file_head())
        if found.last is not None:
            output.adopt(found.last.chunk, found.last.entry, found.last.rebuilt)
    last_ns = None if contents.first_ns is None else contents.last_ns
    information = bag_information(
        topics_of(contents.schemas, contents.channels.values()),
        Tally(contents.by_topic(), contents.first_ns, last_ns),
        path.name,
        info,
    )
    if not closed:
        output.add_metadata(BAG_NOTE, bag_note(information))
        output.append_end()
    write_metadata(path.parent, information)


def _beside(path: Path) -> Path:
    """A name for the bytes that are cut off: no file has it."""
    saved = path.with_name(f"{path.name}.cut")
    number = 1
    while saved.exists():
        number += 1
        saved = path.with_name(f"{path.name}.cut{number}")
    return saved


def _save(descriptor: int, position: int, saved: Path) -> None:
    """Copies everything from `position` on into a file of its own, and forces it to the disk."""
    try:
        with saved.open("xb") as copy, os.fdopen(os.dup(descriptor), "rb") as source:
            source.seek(position)
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        sync_folder(saved.parent)
    except OSError:
        saved.unlink(missing_ok=True)
        raise

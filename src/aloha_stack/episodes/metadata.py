"""`metadata.yaml`: what rosbag2 says about a bag (version 9) and what we say about an episode."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import sync_folder
from aloha_stack.episodes.qos import Qos
from aloha_stack.robot.yaml_section import QUICK_LOADER, nests_little

FILE_NAME = "metadata.yaml"
VERSION = 9
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""Several times as fast, where PyYAML was built with libyaml."""

RECORDING = "recording"
"""The outcome while messages still come in; found in a file, it tells of a crash."""

START_NOTE = "aloha_stack"
"""The name of the record, in the MCAP file, of what was known when the recording began."""

BAG_NOTE = "rosbag2"
"""The name of the record in which rosbag2 keeps a copy of the metadata in the MCAP file."""

REPAIRED = "repaired"
"""The note of an episode that was cut off and closed afterwards: when, and what was cut."""

SILENT = "silent_streams"
"""The note that holds for how long (s) streams were silent that should not have been, as JSON."""

PAUSES = "pauses"
"""The note that holds [begin, end] of each pause in ns of ROS time, as JSON; a pause that is not
over has the end null."""


@dataclass(frozen=True)
class Topic:
    """One recorded stream."""

    name: str
    type: str
    definition: str
    type_hash: str = ""
    qos: tuple[Qos, ...] = ()


@dataclass(frozen=True)
class EpisodeInfo:
    """What the operator says about an episode, and what was counted about it."""

    task: str = ""
    seed: int = -1
    outcome: str = RECORDING
    labels: tuple[str, ...] = ()
    robot: str = ""
    lost: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def as_custom_data(self) -> dict[str, str]:
        """rosbag2's custom data maps strings to strings; lists and numbers become JSON."""
        return {
            **self.notes,
            "task": self.task,
            "seed": str(self.seed),
            "outcome": self.outcome,
            "labels": json.dumps(list(self.labels)),
            "robot": self.robot,
            "lost": json.dumps(dict(self.lost)),
        }

    @staticmethod
    def from_custom_data(data: Mapping[str, str]) -> "EpisodeInfo":
        """The reverse. Raises ValueError where a value is not what was written."""
        own = ("task", "seed", "outcome", "labels", "robot", "lost")
        return EpisodeInfo(
            task=data.get("task", ""),
            seed=int(data.get("seed", "-1")),
            outcome=data.get("outcome", ""),
            labels=tuple(str(label) for label in json.loads(data.get("labels", "[]"))),
            robot=data.get("robot", ""),
            lost={str(k): int(v) for k, v in json.loads(data.get("lost", "{}")).items()},
            notes={key: value for key, value in data.items() if key not in own},
        )


def silence_notes(silent: Mapping[str, float]) -> dict[str, str]:
    """The notes about silent streams; none where all were heard."""
    rounded = {topic: round(seconds, 2) for topic, seconds in silent.items()}
    return {SILENT: json.dumps(rounded)} if silent else {}


def noted_silences(info: EpisodeInfo) -> dict[str, float]:
    """The reverse."""
    return {str(k): float(v) for k, v in json.loads(info.notes.get(SILENT, "{}")).items()}


def silences(silent: Mapping[str, float]) -> tuple[str, ...]:
    """In words, one for each stream."""
    return tuple(f"{topic} was silent for {seconds:.2f} s" for topic, seconds in silent.items())


def pause_notes(pauses: Sequence[tuple[int, int | None]]) -> dict[str, str]:
    """The note about the pauses of a recording; none where there was no pause."""
    return {PAUSES: json.dumps([list(pause) for pause in pauses])} if pauses else {}


def pauses(info: EpisodeInfo) -> tuple[tuple[int, int | None], ...]:
    """The reverse: (begin, end) of each pause, ns of ROS time; the end of one that a crash kept
    from ending is None. Raises ValueError for a note of another form."""
    noted = json.loads(info.notes.get(PAUSES, "[]"))
    if not isinstance(noted, list) or not all(_is_pause(pair) for pair in noted):
        raise ValueError(
            f"the note {PAUSES!r} is {info.notes[PAUSES]!r}; expected a JSON list of [begin, end] "
            "in ns, the last end null if the pause was not over"
        )
    return tuple((begin, end) for begin, end in noted)


def _is_pause(pair: object) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    begin, end = pair
    return type(begin) is int and (end is None or type(end) is int)


@dataclass(frozen=True)
class Tally:
    """What has been written so far; times are log times in ns, None before the first message."""

    counts: Mapping[str, int]
    first_ns: int | None = None
    last_ns: int | None = None

    @property
    def messages(self) -> int:
        """All messages of all topics."""
        return sum(self.counts.values())


def bag_information(
    topics: Sequence[Topic], tally: Tally, file_name: str, info: EpisodeInfo
) -> dict[str, Any]:
    """The mapping below `rosbag2_bagfile_information`, with rosbag2_storage's keys in its order."""
    start = tally.first_ns if tally.first_ns is not None else 0
    duration = tally.last_ns - start if tally.last_ns is not None else 0
    return {
        "version": VERSION,
        "storage_identifier": "mcap",
        "duration": {"nanoseconds": duration},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": tally.messages,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [profile.as_dict() for profile in topic.qos],
                    "type_description_hash": topic.type_hash,
                },
                "message_count": tally.counts.get(topic.name, 0),
            }
            for topic in topics
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file_name],
        "files": [
            {
                "path": file_name,
                "starting_time": {"nanoseconds_since_epoch": start},
                "duration": {"nanoseconds": duration},
                "message_count": tally.messages,
            }
        ],
        "custom_data": info.as_custom_data(),
        "ros_distro": "jazzy",
    }


def bag_note(information: Mapping[str, Any]) -> dict[str, str]:
    """The contents of BAG_NOTE."""
    return {"serialized_metadata": _text(information)}


def _text(document: Mapping[str, Any]) -> str:
    return str(yaml.dump(dict(document), Dumper=_DUMPER, sort_keys=False))


def write_metadata(episode: Path, information: Mapping[str, Any]) -> None:
    """Replaces `metadata.yaml` at once: a crash leaves the old file or the new one, never half.

    It is on the disk when this returns. Raises OSError.
    """
    text = _text({"rosbag2_bagfile_information": information})
    temporary = episode / f".{FILE_NAME}.new"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(episode / FILE_NAME)
    sync_folder(episode)


def read_metadata(episode: Path) -> dict[str, Any]:
    """The mapping below `rosbag2_bagfile_information`. Raises EpisodeError, naming the file."""
    path = episode / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.load(text, QUICK_LOADER if nests_little(text) else yaml.SafeLoader)
    except FileNotFoundError as error:
        raise EpisodeError(
            f"{episode} is not an episode: it has no {FILE_NAME}; give a folder such as "
            "DIR/episode_000000"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise EpisodeError(f"{path} cannot be read as YAML: {error}") from error
    information = (
        document.get("rosbag2_bagfile_information") if isinstance(document, dict) else None
    )
    if not isinstance(information, dict) or not isinstance(
        information.get("relative_file_paths"), list
    ):
        raise EpisodeError(
            f"{path} is not the metadata of a bag: expected rosbag2_bagfile_information with "
            "relative_file_paths; was it written by rosbag2 or this recorder?"
        )
    return information

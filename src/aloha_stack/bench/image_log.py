"""What a process that hears cameras notes of each picture, and what is counted from it.

Sequence numbers are those that the publisher's middleware counts: a gap is a message that it sent
and the receiver never got. Latencies begin at the stamp of the exposure.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aloha_stack.episodes.mcap_file import Record

EDGE = 2
"""Frames of a camera that the beginning and the end of a measurement may cut off."""


class ImageLog:
    """Notes per camera, cheap enough to be taken while messages come."""

    def __init__(self, cameras: int) -> None:
        self._received = [array("q") for _ in range(cameras)]
        self._decoded = [array("q") for _ in range(cameras)]

    def received(self, camera: int, sequence: int, stamp_ns: int, now_ns: int) -> None:
        """A message came; times in ns."""
        self._received[camera].extend((sequence, stamp_ns, now_ns))

    def decoded(self, camera: int, stamp_ns: int, now_ns: int) -> None:
        """The picture of this stamp is decoded; times in ns."""
        self._decoded[camera].extend((stamp_ns, now_ns))

    def complete(self) -> bool:
        """Whether every camera was heard."""
        return all(self._received)

    def write(self, path: Path, began_ns: int, ended_ns: int) -> None:
        """Into an .npz file, for `read_log`."""
        columns: dict[str, np.ndarray] = {"window": np.array([began_ns, ended_ns])}
        for camera, notes in enumerate(self._received):
            columns[f"received_{camera}"] = np.array(notes, np.int64).reshape(-1, 3)
            columns[f"decoded_{camera}"] = np.array(self._decoded[camera], np.int64).reshape(-1, 2)
        np.savez(path, **columns)  # type: ignore[arg-type]  # its keywords are arrays


@dataclass(frozen=True)
class Heard:
    """What came of the pictures that were exposed in the measurement, of all cameras together."""

    frames: int
    lost: int
    short: int
    """Never sent, or never heard of: what the rate makes in the time, and is not there."""
    latency_ms: np.ndarray  # (frames,) exposure to receipt
    decoded_ms: np.ndarray  # (decoded,) exposure to decoded; empty if none is decoded

    @property
    def lost_percent(self) -> float:
        """Of those sent; 100 if none came."""
        return 100.0 * self.lost / (self.frames + self.lost) if self.frames else 100.0


def read_log(path: Path, rate_hz: float) -> Heard:
    """What a reader noted between its beginning and its end."""
    with np.load(path) as columns:
        began_ns, ended_ns = columns["window"]
        received, decoded = [], []
        for camera in range((len(columns.files) - 1) // 2):
            notes, made = columns[f"received_{camera}"], columns[f"decoded_{camera}"]
            received.append(notes[(notes[:, 1] >= began_ns) & (notes[:, 2] <= ended_ns)])
            decoded.append(made[(made[:, 0] >= began_ns) & (made[:, 1] <= ended_ns)])
    ages = (
        np.concatenate([made[:, 1] - made[:, 0] for made in decoded]) if decoded else np.array([])
    )
    return heard(received, rate_hz, (ended_ns - began_ns) * 1e-9, ages)


def recorded(
    records: Iterable[Record], topics: Iterable[str], rate_hz: float, seconds: float
) -> Heard:
    """What an episode of at least `seconds` holds of its cameras: log time is the receipt's."""
    notes: dict[str, list[tuple[int, int, int]]] = {topic: [] for topic in topics}
    for record in records:
        notes[record.topic].append((record.sequence, record.publish_ns, record.log_ns))
    received = [np.array(of_camera, np.int64).reshape(-1, 3) for of_camera in notes.values()]
    return heard(received, rate_hz, seconds, np.array([]))


def heard(
    received: Sequence[np.ndarray], rate_hz: float, seconds: float, decoded_ns: np.ndarray
) -> Heard:
    """Of each camera (n, 3): sequence, stamp, receipt (ns), in the order of receiving.

    Each has to be there from the beginning to the end of the measurement, which took `seconds`.
    """
    lost = short = 0
    for notes in received:
        gaps, due = 0, int(seconds * rate_hz) - EDGE
        if len(notes):
            gaps = int(notes[-1, 0] - notes[0, 0]) + 1 - len(notes)
            span_s = (notes[-1, 1] - notes[0, 1]) * 1e-9
            due = max(due, round(span_s * rate_hz) + 1)
        lost += gaps
        short += max(0, due - len(notes) - gaps)
    together = np.concatenate(received) if received else np.empty((0, 3), np.int64)
    latency_ms = (together[:, 2] - together[:, 1]) * 1e-6
    return Heard(len(together), lost, short, latency_ms, decoded_ns * 1e-6)

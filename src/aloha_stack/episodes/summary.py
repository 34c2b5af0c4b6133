"""What an episode holds, in figures: steps, rates, losses, skew and reward."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.metadata import RECORDING, noted_silences, silences
from aloha_stack.episodes.reader import COMPRESSED_IMAGE, JOINT_STATE, Episode

STEP_HZ = 50.0
TASK_STATE = "/task/state"
COMPLETE, INCOMPLETE, DAMAGED = "complete", "incomplete", "damaged"


@dataclass(frozen=True)
class StreamSummary:
    """One topic: how many messages came, how often, and how many are known to be lost."""

    topic: str
    type: str
    messages: int
    rate_hz: float | None  # between its first and last stamp; None below two messages
    lost: int


@dataclass(frozen=True)
class Skew:
    """Distance in time between the pictures and the joint state that belong to the same step."""

    median_ms: float
    max_ms: float


@dataclass(frozen=True)
class EpisodeSummary:
    """The row of one episode. `verdict` is complete, incomplete or damaged; `reasons` say why."""

    path: str
    task: str
    seed: int
    outcome: str
    labels: tuple[str, ...]
    robot: str
    steps: int  # of 1/50 s in which every joint stream and camera has data
    duration_s: float
    messages: int
    lost: int
    streams: tuple[StreamSummary, ...]
    skew: Skew | None
    real_time_factor: float | None
    final_reward: int | None
    best_reward: int | None
    max_reward: int | None
    verdict: str
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def cameras(self) -> tuple[StreamSummary, ...]:
        """The image streams."""
        return tuple(stream for stream in self.streams if stream.type == COMPRESSED_IMAGE)


def summarise(path: Path | str) -> EpisodeSummary:
    """Reads the whole episode. Raises EpisodeError if it is none or is damaged."""
    episode = Episode(path)
    stamps: dict[str, list[int]] = {topic: [] for topic in episode.topics}
    task_states = []
    for record in episode.records():
        stamps.setdefault(record.topic, []).append(record.publish_ns)
        if record.topic == TASK_STATE:
            task_states.append(episode.decode(record))
    arrays = {topic: np.sort(np.array(times, np.int64)) for topic, times in stamps.items()}
    lost = episode.info.lost
    streams = tuple(
        StreamSummary(
            topic,
            episode.types.get(topic, ""),
            len(times),
            _rate(times),
            lost.get(topic, 0),
        )
        for topic, times in arrays.items()
    )
    required = [s.topic for s in streams if s.type in (JOINT_STATE, COMPRESSED_IMAGE)]
    steps = _steps([arrays[topic] for topic in required])
    cameras = [arrays[s.topic] for s in streams if s.type == COMPRESSED_IMAGE]
    joints = [arrays[t] for t in required if t.endswith("/joint_states")]
    every = [times for times in arrays.values() if len(times)]
    factors = [m.real_time_factor for m in task_states if m.real_time_factor > 0]
    reasons = _reasons(episode, streams, required)
    return EpisodeSummary(
        path=str(episode.path),
        task=episode.info.task,
        seed=episode.info.seed,
        outcome=episode.info.outcome,
        labels=episode.info.labels,
        robot=episode.info.robot,
        steps=len(steps),
        duration_s=_span_s(every),
        messages=sum(stream.messages for stream in streams),
        lost=sum(lost.values()),
        streams=streams,
        skew=_skew(steps, cameras, joints),
        real_time_factor=float(np.median(factors)) if factors else None,
        final_reward=int(task_states[-1].reward) if task_states else None,
        best_reward=max((int(m.best_reward) for m in task_states), default=None),
        max_reward=int(task_states[-1].max_reward) if task_states else None,
        verdict=INCOMPLETE if reasons else COMPLETE,
        reasons=reasons,
    )


def damaged(path: Path | str, error: EpisodeError) -> EpisodeSummary:
    """The row of an episode that cannot be read."""
    return EpisodeSummary(
        path=str(path),
        task="",
        seed=-1,
        outcome="",
        labels=(),
        robot="",
        steps=0,
        duration_s=0.0,
        messages=0,
        lost=0,
        streams=(),
        skew=None,
        real_time_factor=None,
        final_reward=None,
        best_reward=None,
        max_reward=None,
        verdict=DAMAGED,
        reasons=(str(error),),
    )


def _reasons(
    episode: Episode, streams: tuple[StreamSummary, ...], required: list[str]
) -> tuple[str, ...]:
    reasons = []
    if episode.info.outcome == RECORDING:
        reasons.append("the recorder ended before the episode did")
    elif not episode.closed:
        reasons.append("the file breaks off before its end")
    if episode.info.outcome == "interrupted":
        reasons.append("the recording was interrupted")
    if not required:
        reasons.append("no joint or camera stream was recorded")
    reasons += [
        f"nothing was received on {stream.topic}"
        for stream in streams
        if stream.topic in required and stream.messages == 0
    ]
    reasons += silences(noted_silences(episode.info))
    reasons += [f"{stream.lost} lost on {stream.topic}" for stream in streams if stream.lost]
    return tuple(reasons)


def _rate(stamps_ns: np.ndarray) -> float | None:
    if len(stamps_ns) < 2 or stamps_ns[-1] == stamps_ns[0]:
        return None
    return float((len(stamps_ns) - 1) / ((stamps_ns[-1] - stamps_ns[0]) * 1e-9))


def _span_s(streams: list[np.ndarray]) -> float:
    if not streams:
        return 0.0
    first = min(int(times[0]) for times in streams)
    last = max(int(times[-1]) for times in streams)
    return (last - first) * 1e-9


def _steps(streams: list[np.ndarray]) -> np.ndarray:
    """Times (ns) of the 50 Hz steps from the last stream's start to the first stream's end."""
    if not streams or any(len(times) == 0 for times in streams):
        return np.zeros(0, np.int64)
    start = max(int(times[0]) for times in streams)
    end = min(int(times[-1]) for times in streams)
    return np.arange(start, end + 1, int(1e9 / STEP_HZ), dtype=np.int64)


def _skew(steps: np.ndarray, cameras: list[np.ndarray], joints: list[np.ndarray]) -> Skew | None:
    """Between the picture and the joint state nearest to each step, over all pairs of both."""
    if not len(steps) or not cameras or not joints:
        return None
    pictures = np.array([_nearest(times, steps) for times in cameras])  # (c, steps)
    states = np.array([_nearest(times, steps) for times in joints])  # (a, steps)
    gaps = np.abs(pictures[:, None, :] - states[None, :, :]) * 1e-6
    return Skew(float(np.median(gaps)), float(np.max(gaps)))


def _nearest(stamps_ns: np.ndarray, at_ns: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(stamps_ns, at_ns), 0, len(stamps_ns) - 1)
    before = np.maximum(after - 1, 0)
    closer = at_ns - stamps_ns[before] <= stamps_ns[after] - at_ns
    return np.where(closer, stamps_ns[before], stamps_ns[after])

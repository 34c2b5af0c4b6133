"""What an episode holds, in figures and with the quality gate's verdict, pictures left unread."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.episodes.alignment import AlignedEpisode, AlignmentSettings, align
from aloha_stack.episodes.commanders import COMMANDERS, HUMAN, counted, is_rollout
from aloha_stack.episodes.contents import Contents
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.figures import (
    commands_of,
    missing_things,
    not_finite,
    paused_s,
    skew_of,
    span_ns,
    span_s,
    streams_of,
)
from aloha_stack.episodes.picture_quality import CameraFigures, camera_figures
from aloha_stack.episodes.quality import (
    DAMAGED,
    CommandFigures,
    Figures,
    Skew,
    StreamFigures,
    judge,
)
from aloha_stack.episodes.reader import IMAGE_TYPES, Episode
from aloha_stack.episodes.robots import robot_of
from aloha_stack.episodes.said_numbers import TASK_STATE
from aloha_stack.episodes.standstill import Standstill, standstills
from aloha_stack.episodes.thresholds import Thresholds, load_thresholds
from aloha_stack.robot.description import Robot

REPAIRED = "repaired"
"""The note of an episode that was cut off and closed afterwards."""


@dataclass(frozen=True)
class StreamSummary:
    """One topic: how many messages came, how evenly, and how many are known to be lost."""

    topic: str
    type: str
    messages: int
    rate_hz: float | None  # pauses left out; None below two messages
    lost: int
    nominal_hz: float | None = None  # None for a stream without a fixed rate
    late_share: float | None = None
    longest_gap_s: float | None = None
    delay_ms: float | None = None  # median, from stamp to arrival


@dataclass(frozen=True)
class EpisodeSummary:
    """The row of one episode. `verdict` is one of quality.VERDICTS; `reasons` say why."""

    path: str
    task: str = ""
    seed: int = -1
    outcome: str = ""
    labels: tuple[str, ...] = ()
    robot: str = ""
    repaired: str = ""  # when and how, if it was cut off and closed afterwards
    steps: int = 0  # of 1/50 s at which every stream has data
    segments: int = 0  # pauses and gaps divide them
    commanded: Mapping[str, int] = field(default_factory=dict)  # steps by commander
    duration_s: float = 0.0  # pauses left out
    paused_s: float = 0.0
    messages: int = 0
    lost: int = 0
    streams: tuple[StreamSummary, ...] = ()
    pictures: Mapping[str, CameraFigures] = field(default_factory=dict)
    skew: Skew | None = None
    commands: tuple[CommandFigures, ...] = ()
    standstills: tuple[Standstill, ...] = ()
    real_time_factor: float | None = None
    final_reward: int | None = None
    best_reward: int | None = None
    max_reward: int | None = None
    verdict: str = DAMAGED
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()  # what a reader should know, and no fault

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def cameras(self) -> tuple[StreamSummary, ...]:
        """The image streams."""
        return tuple(stream for stream in self.streams if stream.type in IMAGE_TYPES)

    @property
    def human_share(self) -> float | None:
        """Of the steps of a rollout; None for a demonstration, which is a human's all through."""
        if not is_rollout(self.commanded):
            return None
        return self.commanded.get(COMMANDERS[HUMAN], 0) / self.steps


def damaged(path: Path | str, error: EpisodeError) -> EpisodeSummary:
    """The row of an episode that cannot be read."""
    return EpisodeSummary(path=str(path), verdict=DAMAGED, reasons=(str(error),))


def summarise(
    episode: Episode | Path | str,
    thresholds: Thresholds | None = None,
    robot: Robot | None = None,
    aligned: AlignedEpisode | None = None,
) -> EpisodeSummary:
    """The figures of an episode. Raises EpisodeError if it is none or is damaged.

    What is not given is looked up: config/quality.yaml, the robot it was recorded with, its steps.
    """
    if not isinstance(episode, Episode):
        episode = Episode(episode)
    thresholds = thresholds or load_thresholds()
    known = robot
    if robot is None:
        robot, remark = robot_of(episode.info)
        known = None if remark else robot
    missing = list(missing_things(episode))
    if aligned is None:
        try:
            aligned = align(episode, AlignmentSettings(), robot)
        except EpisodeError as error:
            if not missing:  # else that is why
                missing.append(_without_folder(str(error), episode.path))
    contents, info = episode.contents(), episode.info
    streams = streams_of(episode, thresholds, known)
    paused = paused_s(episode)
    duration_s = max(span_s(contents.stamps_ns.values()) - paused, 0.0)
    pictures = {
        name: camera_figures(index, contents.joints, thresholds.moving_rad_s)
        for name, index in (aligned.frames.items() if aligned else ())
    }
    commands = tuple(commands_of(episode))
    skew = skew_of(aligned) if aligned else None
    still = standstills(episode, span_ns(episode))
    figures = Figures(
        missing=tuple(missing),
        streams=streams,
        cameras=pictures,
        skew=skew,
        commands=commands,
        standstills=still,
        not_finite=not_finite(episode),
        steps=len(aligned) if aligned else 0,
        recorded_s=duration_s,
    )
    verdict = judge(figures, thresholds)
    task = {name: values.tolist() for name, values in _task_numbers(contents).items()}
    factors = [factor for factor in task.get("real_time_factor", ()) if factor > 0]
    return EpisodeSummary(
        path=str(episode.path),
        task=info.task,
        seed=info.seed,
        outcome=info.outcome,
        labels=info.labels,
        robot=info.robot,
        repaired=info.notes.get(REPAIRED, ""),
        steps=figures.steps,
        segments=int(aligned.segment[-1]) + 1 if aligned else 0,
        commanded=counted(aligned.commander) if aligned else {},
        duration_s=duration_s,
        paused_s=paused,
        messages=sum(len(stamps) for stamps in contents.stamps_ns.values()),
        lost=sum(info.lost.values()),
        streams=tuple(_summary(stream, episode) for stream in streams),
        pictures=pictures,
        skew=skew,
        commands=commands,
        standstills=still,
        real_time_factor=float(np.median(factors)) if factors else None,
        final_reward=task["reward"][-1] if "reward" in task else None,
        best_reward=max(task["best_reward"]) if "best_reward" in task else None,
        max_reward=task["max_reward"][-1] if "max_reward" in task else None,
        verdict=verdict.name,
        reasons=verdict.reasons,
        remarks=aligned.remarks if aligned else (),
    )


def _task_numbers(contents: Contents) -> dict[str, np.ndarray]:
    """What TaskState says of rewards and the twin's pace, (n,) each; nothing where no such message
    came."""
    found = [
        columns
        for topic, columns in contents.said.items()
        if contents.types[topic] == TASK_STATE and len(contents.stamps_ns[topic])
    ]
    names = set.intersection(*(set(columns) for columns in found)) if found else set()
    return {name: np.concatenate([columns[name] for columns in found]) for name in names}


def _summary(stream: StreamFigures, episode: Episode) -> StreamSummary:
    kind = episode.types.get(stream.topic) or episode.contents().types.get(stream.topic, "")
    even = stream.evenness
    return StreamSummary(
        stream.topic,
        kind,
        stream.messages,
        even.rate_hz,
        stream.lost,
        even.nominal_hz,
        even.late_share,
        even.longest_gap_s,
        stream.delay_ms,
    )


def _without_folder(text: str, folder: Path) -> str:
    """The row says which episode it is."""
    return text.removeprefix(f"{folder} ").removeprefix(f"{folder}: ").replace(f"{folder}/", "")

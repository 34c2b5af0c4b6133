"""One episode as learning reads it: arrays in memory, pictures by their place in the file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from aloha_stack.episodes.alignment import AlignedEpisode, align
from aloha_stack.episodes.commanders import COMMANDERS, counted
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import FrameIndex
from aloha_stack.episodes.joint_numbers import NAMES
from aloha_stack.episodes.reader import JOINT_STATE, Episode
from aloha_stack.episodes.summary import summarise
from aloha_stack.robot.joints import LEADERS
from aloha_stack.training.settings import ReadSettings


@dataclass(frozen=True)
class TrainingEpisode:
    """The T steps that are learnt from, C cameras. Small, and can be sent to other processes."""

    path: Path
    task: str
    robot: str
    verdict: str
    time_ns: np.ndarray  # (T,) int64
    segment: np.ndarray  # (T,) int64, from 0; a pause or steps that are left out begin one
    state: np.ndarray  # (T, 14 for each part of the state) float32
    action: np.ndarray  # (T, 14) float32
    cameras: tuple[FrameIndex, ...] = field(repr=False)
    frame: np.ndarray = field(repr=False)  # (T, C) int64, index into each camera's pictures
    skew_s: np.ndarray = field(repr=False)  # (T, C) float32, exposure - step
    age_s: np.ndarray = field(repr=False)  # (T, streams) float32, step - stamp of its sample
    aged: tuple[str, ...]  # the topics of age_s, those that state and action are made of
    rates_hz: dict[str, float]  # of every camera and joint stream
    commanded: Mapping[str, int]  # recorded steps by commander, those that are left out too

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def left_out(self) -> int:
        """Steps that others commanded than those who are learnt from."""
        return sum(self.commanded.values()) - len(self)

    @cached_property
    def segment_end(self) -> np.ndarray:
        """(T,) int64: the step after the last one of each step's segment."""
        return np.searchsorted(self.segment, self.segment, side="right")


def read_episode(path: Path, settings: ReadSettings) -> TrainingEpisode:
    """Reads an episode, pictures left out; no step at all where none is commanded as asked for.

    Raises EpisodeError, which names it, for one that cannot be read, that the quality gate does not
    let pass, or that lacks what is asked for.
    """
    episode = Episode(path)
    episode.contents(settings.verify)
    aligned = align(episode, settings.alignment)
    summary = summarise(episode, aligned=aligned)
    if summary.verdict not in settings.allowed:
        raise EpisodeError(
            f"{path} is {summary.verdict}: {'; '.join(summary.reasons)} (allowed: "
            f"{', '.join(settings.allowed)})"
        )
    cameras = settings.cameras if settings.cameras is not None else tuple(aligned.cameras)
    missing = [camera for camera in cameras if camera not in aligned.cameras]
    if missing:
        raise EpisodeError(
            f"{path} has no camera {', '.join(missing)}; it has "
            f"{', '.join(aligned.cameras) or 'none'}"
        )
    commanded = counted(aligned.commander)
    aligned = _commanded_by(settings.commanders, aligned)
    steps = [aligned.cameras[camera] for camera in cameras]
    empty = np.zeros((len(aligned), 0), np.int64)
    ages = _ages(aligned, settings)
    return TrainingEpisode(
        path=path,
        task=aligned.task,
        robot=aligned.robot,
        verdict=summary.verdict,
        time_ns=aligned.time_ns,
        segment=aligned.segment,
        state=_state(aligned, settings),
        action=_action(aligned, settings),
        cameras=tuple(aligned.frames[camera] for camera in cameras),
        frame=np.stack([s.frame for s in steps], axis=1) if steps else empty,
        skew_s=_seconds([s.skew_ns for s in steps]) if steps else empty.astype(np.float32),
        age_s=_seconds(list(ages.values())),
        aged=tuple(ages),
        rates_hz=_rates(episode, aligned),
        commanded=commanded,
    )


def _commanded_by(commanders: tuple[str, ...], aligned: AlignedEpisode) -> AlignedEpisode:
    """Only the steps of `commanders`. What lies between them divides segments as a gap does: no
    chunk reaches over it, and actions of others are never part of one."""
    codes = [COMMANDERS.index(name) for name in commanders]
    rows = np.flatnonzero(np.isin(aligned.commander, codes))
    if len(rows) == len(aligned):
        return aligned
    broken = (np.diff(rows) > 1) | (np.diff(aligned.segment[rows]) > 0)
    return replace(
        aligned,
        time_ns=aligned.time_ns[rows],
        segment=np.concatenate([[0], np.cumsum(broken)])[: len(rows)],
        state=aligned.state[rows],
        velocity=aligned.velocity[rows],
        effort=aligned.effort[rows],
        action=aligned.action[rows],
        leader=aligned.leader[rows] if aligned.leader is not None else None,
        commander=aligned.commander[rows],
        joint_age_ns={topic: age[rows] for topic, age in aligned.joint_age_ns.items()},
        cameras={
            name: replace(
                steps,
                frame=steps.frame[rows],
                stamp_ns=steps.stamp_ns[rows],
                skew_ns=steps.skew_ns[rows],
            )
            for name, steps in aligned.cameras.items()
        },
    )


def _state(aligned: AlignedEpisode, settings: ReadSettings) -> np.ndarray:
    parts = {"position": aligned.state, "velocity": aligned.velocity, "effort": aligned.effort}
    state = np.concatenate([parts[name] for name in settings.state], axis=1)
    return _finite(aligned, state, settings.state_names, "state")


def _action(aligned: AlignedEpisode, settings: ReadSettings) -> np.ndarray:
    if settings.action == "executed":
        return _finite(aligned, aligned.action, NAMES, "action")
    if aligned.leader is None:
        raise EpisodeError(f"{aligned.path} has no leader arms; take the executed action")
    return _finite(aligned, aligned.leader, NAMES, "leader")


def _finite(
    aligned: AlignedEpisode, values: np.ndarray, names: tuple[str, ...], what: str
) -> np.ndarray:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        step, column = bad[0]
        raise EpisodeError(
            f"{aligned.path}: {what} {names[column]} is {values[step, column]} at step {step} (of "
            f"{len(bad)} numbers that are none); leave it out of what is read, or the episode"
        )
    return values.astype(np.float32)


def _ages(aligned: AlignedEpisode, settings: ReadSettings) -> dict[str, np.ndarray]:
    """Without the leaders' where they are not read: not every episode has them."""
    unread = () if settings.action == "leader" else [f"/{arm}/joint_states" for arm in LEADERS]
    return {topic: age for topic, age in aligned.joint_age_ns.items() if topic not in unread}


def _seconds(columns_ns: list[np.ndarray]) -> np.ndarray:
    return (np.stack(columns_ns, axis=1) * 1e-9).astype(np.float32)


def _rates(episode: Episode, aligned: AlignedEpisode) -> dict[str, float]:
    stamps = {f"camera {name}": index.stamps_ns for name, index in aligned.frames.items()}
    joints = episode.contents().joints
    used = [topic for topic in aligned.joint_age_ns if episode.types.get(topic) == JOINT_STATE]
    stamps |= {topic: joints[topic].stamps_ns for topic in used}
    return {name: 1e9 / float(np.median(np.diff(s))) for name, s in stamps.items() if len(s) > 1}

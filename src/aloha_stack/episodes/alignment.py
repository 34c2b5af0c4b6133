"""An episode as steps: at each, the state, the action and the pictures that belong to it.

Nothing is interpolated or invented. Each step keeps how far in time its samples are from it, and a
step with a stream that has nothing near enough is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from aloha_stack.episodes.commanders import commanders_at
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import FrameIndex, frame_indexes
from aloha_stack.episodes.joint_columns import JointStream
from aloha_stack.episodes.joint_numbers import measured, targets
from aloha_stack.episodes.reader import STEPS_METHOD, Episode
from aloha_stack.episodes.robots import robot_of
from aloha_stack.episodes.step_grid import HOLD, METHODS, NEAREST, StepGrid, Stream, step_grid
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import FOLLOWERS, JOINTS, LEADERS

NS = 1_000_000_000


@dataclass(frozen=True)
class AlignmentSettings:
    """How samples are chosen. Raises ValueError for what cannot be.

    `method` (of states and pictures): "nearest", or "hold", the last at or before the step; None
    is as the steps of an imported episode were chosen, else "nearest". Commands are held always:
    `action[k]` is the one in force `action_lead_steps` after step k. Only those of an imported
    episode belong to its steps, and go with the state that they came with.
    """

    step_hz: float = 50.0
    method: str | None = None
    tolerance_s: float = 0.05
    action_lead_steps: float = 1.0

    def __post_init__(self) -> None:
        if self.method is not None and self.method not in METHODS:
            raise ValueError(f"method {self.method!r} is none of {', '.join(METHODS)}")
        if not 0.1 <= self.step_hz <= 1000.0:
            raise ValueError(f"step_hz {self.step_hz} is outside 0.1 … 1000")
        if not 0.0 < self.tolerance_s <= 10.0:
            raise ValueError(f"tolerance_s {self.tolerance_s} is outside 0 … 10")
        if not 0.0 <= self.action_lead_steps <= 100.0:
            raise ValueError(f"action_lead_steps {self.action_lead_steps} is outside 0 … 100")

    @property
    def period_ns(self) -> float:
        return NS / self.step_hz

    @property
    def tolerance_ns(self) -> int:
        return round(NS * self.tolerance_s)

    @property
    def lead_ns(self) -> int:
        return round(self.action_lead_steps * self.period_ns)


@dataclass(frozen=True)
class CameraSteps:
    """The picture of one camera at each step."""

    name: str
    topic: str
    frame: np.ndarray  # (T,) int64, index into the camera's FrameIndex
    stamp_ns: np.ndarray  # (T,) int64, exposure
    skew_ns: np.ndarray  # (T,) int64, exposure - step


@dataclass(frozen=True)
class AlignedEpisode:
    """T steps of 14 numbers each (order and units: `joint_numbers`), float64; NaN where a driver
    sent nothing."""

    path: Path
    task: str
    seed: int
    outcome: str
    labels: tuple[str, ...]
    robot: str  # whose constants normalise the grippers
    settings: AlignmentSettings
    time_ns: np.ndarray  # (T,) int64, strictly growing
    segment: np.ndarray  # (T,) int64; a pause or a gap begins a new one
    state: np.ndarray  # (T, 14)
    velocity: np.ndarray  # (T, 14) rad/s, grippers in openings per second
    effort: np.ndarray  # (T, 14), as the driver gave it
    action: np.ndarray  # (T, 14), the executed command
    leader: np.ndarray | None  # (T, 14); rows without a sample near enough are NaN
    commander: np.ndarray  # (T,) uint8: who gave the action, by number in COMMANDERS
    joint_age_ns: Mapping[str, np.ndarray]  # topic -> (T,) int64, step - stamp of the sample used
    cameras: Mapping[str, CameraSteps]
    frames: Mapping[str, FrameIndex] = field(repr=False)  # where the pictures are
    remarks: tuple[str, ...] = ()  # what a reader should know

    def __len__(self) -> int:
        return len(self.time_ns)


def align(
    episode: Episode,
    settings: AlignmentSettings | None = None,
    robot: Robot | None = None,
) -> AlignedEpisode:
    """The steps of `episode`, in units of `robot` (as a rule the one it was recorded with).

    Reads its file once, pictures left out. Raises EpisodeError, which names what is missing.
    """
    settings = _chosen(settings or AlignmentSettings(), episode)
    remark = ""
    if robot is None:
        robot, remark = robot_of(episode.info)
    joints = {topic: _sorted(stream) for topic, stream in episode.contents().joints.items()}
    states = [f"/{arm}/joint_states" for arm in FOLLOWERS]
    commands = [f"/{arm}/command_executed" for arm in FOLLOWERS]
    _check(episode, joints, (*states, *commands))
    frames = frame_indexes(episode)
    grid = _grid(episode, settings, joints, frames)
    if not len(grid.time_ns):
        raise EpisodeError(f"{episode.path} has no step: {_why_empty(joints, frames, settings)}")
    arms = [robot.arm(arm) for arm in FOLLOWERS]
    sampled = [
        tuple(values[grid.index[topic]] for values in measured(joints[topic], arm))
        for topic, arm in zip(states, arms, strict=True)
    ]
    state, velocity, effort = (
        np.concatenate(parts, axis=1) for parts in zip(*sampled, strict=True)
    )
    action = np.concatenate(
        [
            targets(joints[topic], arm)[grid.index[topic]]
            for topic, arm in zip(commands, arms, strict=True)
        ],
        axis=1,
    )
    ages = {t: grid.time_ns - joints[t].stamps_ns[grid.index[t]] for t in (*states, *commands)}
    leader, leader_ages = _leaders(settings, joints, robot, grid.time_ns)
    info = episode.info
    return AlignedEpisode(
        path=episode.path,
        task=info.task,
        seed=info.seed,
        outcome=info.outcome,
        labels=info.labels,
        robot=robot.name,
        settings=settings,
        time_ns=grid.time_ns,
        segment=grid.segment,
        state=state,
        velocity=velocity,
        effort=effort,
        action=action,
        leader=leader,
        commander=commanders_at(episode.contents(), grid.time_ns),
        joint_age_ns={**ages, **leader_ages},
        cameras={name: _camera(index, grid) for name, index in frames.items()},
        frames=frames,
        remarks=(remark,) if remark else (),
    )


def _chosen(settings: AlignmentSettings, episode: Episode) -> AlignmentSettings:
    """With the method that None stands for."""
    if settings.method is not None:
        return settings
    noted = episode.info.notes.get(STEPS_METHOD)
    return replace(settings, method=noted if noted in METHODS else NEAREST)


def _grid(
    episode: Episode,
    settings: AlignmentSettings,
    joints: Mapping[str, JointStream],
    frames: Mapping[str, FrameIndex],
) -> StepGrid:
    method = settings.method or NEAREST
    how, lead_ns = HOLD, settings.lead_ns
    own_hz = episode.steps_hz
    if own_hz is not None:  # its commands are one of its own steps after their states
        how, lead_ns = method, lead_ns + round(NS / own_hz) - round(settings.period_ns)
    streams = {}
    for arm in FOLLOWERS:
        topic = f"/{arm}/joint_states"
        streams[topic] = Stream(joints[topic].stamps_ns, method)
        topic = f"/{arm}/command_executed"
        streams[topic] = Stream(joints[topic].stamps_ns, how, lead_ns)
    for index in frames.values():
        streams[index.topic] = Stream(index.stamps_ns, method)
    anchor = next((index.topic for index in frames.values()), "")
    try:
        return step_grid(streams, settings.period_ns, settings.tolerance_ns, episode.pauses, anchor)
    except ValueError as error:
        raise EpisodeError(f"{episode.path} cannot be aligned: {error}") from error


def _check(episode: Episode, joints: Mapping[str, JointStream], needed: tuple[str, ...]) -> None:
    missing = [t for t in needed if t not in joints or not len(joints[t].stamps_ns)]
    if missing:
        raise EpisodeError(
            f"{episode.path} cannot be aligned: it has nothing of {', '.join(missing)}; it has "
            f"{', '.join(t for t in joints if len(joints[t].stamps_ns)) or 'no joint stream'}"
        )
    wrong = [topic for topic in needed if not set(JOINTS) <= set(joints[topic].names)]
    if wrong:
        raise EpisodeError(
            f"{episode.path} cannot be aligned: {wrong[0]} has the joints "
            f"{', '.join(joints[wrong[0]].names) or 'none'}; expected {', '.join(JOINTS)}"
        )
    silent = [
        f"{camera} ({topic})"
        for camera, topic in episode.camera_topics.items()
        if not len(episode.contents().stamps_ns.get(topic, ()))
    ]
    if silent:
        raise EpisodeError(
            f"{episode.path} cannot be aligned: no picture came of {', '.join(silent)}; record it "
            "again with these cameras, or without them"
        )


def _sorted(stream: JointStream) -> JointStream:
    """In the order of acquisition, should the file have another."""
    if (np.diff(stream.stamps_ns) >= 0).all():
        return stream
    order = np.argsort(stream.stamps_ns, kind="stable")
    return JointStream(
        stream.topic,
        stream.names,
        stream.stamps_ns[order],
        stream.position[order],
        stream.velocity[order],
        stream.effort[order],
    )


def _leaders(
    settings: AlignmentSettings,
    joints: Mapping[str, JointStream],
    robot: Robot,
    time_ns: np.ndarray,
) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
    topics = {arm: f"/{arm}/joint_states" for arm in LEADERS}
    if not all(t in joints and set(JOINTS) <= set(joints[t].names) for t in topics.values()):
        return None, {}
    parts, ages = [], {}
    for arm, topic in topics.items():
        stream = Stream(joints[topic].stamps_ns, settings.method or NEAREST)
        index = stream.pick(time_ns)
        values = targets(joints[topic], robot.arm(arm))[index]
        ages[topic] = -stream.distance_ns(time_ns, index)
        values[np.abs(ages[topic]) > settings.tolerance_ns] = np.nan
        parts.append(values)
    return np.concatenate(parts, axis=1), ages


def _camera(index: FrameIndex, grid: StepGrid) -> CameraSteps:
    frame = grid.index[index.topic]
    stamps = index.stamps_ns[frame]
    return CameraSteps(index.camera, index.topic, frame, stamps, stamps - grid.time_ns)


def _why_empty(
    joints: Mapping[str, JointStream],
    frames: Mapping[str, FrameIndex],
    settings: AlignmentSettings,
) -> str:
    spans = {topic: stream.stamps_ns for topic, stream in joints.items() if len(stream.stamps_ns)}
    spans |= {index.topic: index.stamps_ns for index in frames.values()}
    latest = max(spans, key=lambda topic: int(spans[topic][0]))
    first = min(spans, key=lambda topic: int(spans[topic][-1]))
    if int(spans[latest][0]) > int(spans[first][-1]):
        return (
            f"{first} ends {(int(spans[latest][0]) - int(spans[first][-1])) / NS:.3f} s before "
            f"{latest} begins; do their clocks agree?"
        )
    return (
        f"nowhere has every stream a sample within {settings.tolerance_s} s (tolerance_s) outside "
        "of pauses"
    )

"""For how long the robot could not move while it was recorded: e-stopped, or an arm that held."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.said_numbers import ARM_STATUS, SAFETY_STATE
from aloha_stack.robot.joints import FOLLOWERS

MODES = (
    "inactive",
    "ramping",
    "following",
    "holding",
    "e-stopped",
    "parking",
    "in fault",
    "back-driven",
)
"""The modes of aloha_interfaces/ArmStatus by number, in words (a test compares)."""

MOVING = frozenset({"ramping", "following"})
"""Modes in which a follower carries out commands."""

E_STOPPED = "e-stopped"
ROBOT = "the robot"


@dataclass(frozen=True)
class Standstill:
    """`who` did not carry out commands: how, for how long in all, and from when on (from the
    episode's begin). Pauses are left out."""

    who: str
    how: str
    seconds: float
    at_s: float


def standstills(episode: Episode, span_ns: tuple[int, int]) -> tuple[Standstill, ...]:
    """Of the robot (its e-stop) and of each follower, within `span_ns`. Raises EpisodeError.

    A state lasts until the next one is told. That the arms are e-stopped, too, while the safety
    node says so is not told again.
    """
    contents = episode.contents()
    found: list[Standstill] = []
    for topic, columns in contents.said.items():
        if contents.types[topic] == SAFETY_STATE and "e_stopped" in columns:
            stopped = columns["e_stopped"].astype(bool)
            found += _lasting(
                ROBOT, E_STOPPED, contents.stamps_ns[topic], stopped, span_ns, episode
            )
    robot_stopped = bool(found)
    for arm in FOLLOWERS:
        topic = f"/{arm}/status"
        modes = contents.said.get(topic, {}).get("mode")
        if contents.types.get(topic) != ARM_STATUS or modes is None:
            continue
        for mode in np.unique(modes).tolist():
            how = MODES[mode] if mode < len(MODES) else f"in mode {mode}"
            if how not in MOVING and not (how == E_STOPPED and robot_stopped):
                stamps = contents.stamps_ns[topic]
                found += _lasting(arm, how, stamps, modes == mode, span_ns, episode)
    return tuple(found)


def _lasting(
    who: str,
    how: str,
    stamps_ns: np.ndarray,
    on: np.ndarray,
    span_ns: tuple[int, int],
    episode: Episode,
) -> Iterator[Standstill]:
    """One for all the time in which the state (n,) told at `stamps_ns` (n,) is `on`, if any."""
    if not on.any():
        return
    begin, end = span_ns
    order = np.argsort(stamps_ns, kind="stable")
    # What is told first was so since the beginning: nobody says that it began in between.
    edges = np.clip(np.append(stamps_ns[order], end), begin, end)
    edges[0] = begin
    from_ns, to_ns = edges[:-1][on[order]], edges[1:][on[order]]
    lasting = float(np.sum(to_ns - from_ns - _paused_ns(from_ns, to_ns, episode.pauses))) * 1e-9
    if lasting > 0:
        yield Standstill(who, how, lasting, float(from_ns[0] - begin) * 1e-9)


def _paused_ns(
    from_ns: np.ndarray, to_ns: np.ndarray, pauses: Sequence[tuple[int, int | None]]
) -> np.ndarray:
    """How much (n,) of each interval lies in pauses."""
    paused = np.zeros(len(from_ns), np.int64)
    for begin, end in pauses:
        until = to_ns if end is None else np.minimum(to_ns, end)
        paused += np.maximum(until - np.maximum(from_ns, begin), 0)
    return paused

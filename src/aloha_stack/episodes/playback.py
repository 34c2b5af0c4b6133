"""The executed commands of an episode as paths in time that can be sent again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.reader import Episode, JointStream
from aloha_stack.robot.joints import JOINTS

SHORTEST_STEP_NS = 1_000_000
"""Bridges refuse points that follow each other more closely."""


@dataclass(frozen=True)
class JointPath:
    """Targets of one arm: `times_ns` (n,) from a start shared by all, `position` (n, 7) rad."""

    times_ns: np.ndarray
    position: np.ndarray
    velocity: np.ndarray  # (n, 7) rad/s, at rest at both ends: every window joins the next smoothly

    @property
    def end_ns(self) -> int:
        """When the last target is due."""
        return int(self.times_ns[-1])

    def window(self, from_ns: int, length_ns: int) -> "JointPath":
        """The targets from the last one due at `from_ns` to the first one `length_ns` later."""
        first = int(np.searchsorted(self.times_ns, from_ns, side="right")) - 1
        last = int(np.searchsorted(self.times_ns, from_ns + length_ns, side="left")) + 1
        part = slice(max(first, 0), max(last, 1))
        return JointPath(self.times_ns[part], self.position[part], self.velocity[part])


def joint_path(times_ns: np.ndarray, position: np.ndarray) -> JointPath:
    """The path through `position`, its velocities being central differences."""
    velocity = np.zeros_like(position)
    if len(times_ns) > 2:
        spans_s = (times_ns[2:] - times_ns[:-2])[:, None] * 1e-9
        velocity[1:-1] = (position[2:] - position[:-2]) / spans_s
    return JointPath(times_ns, position, velocity)


def executed_paths(episode: Episode, arms: Sequence[str]) -> dict[str, JointPath]:
    """What each arm executed, from the first command of any. Raises EpisodeError."""
    topics = {arm: f"/{arm}/command_executed" for arm in arms}
    streams = episode.joints(*topics.values())
    for arm, topic in topics.items():
        stream = streams[topic]
        if not len(stream.stamps_ns):
            raise EpisodeError(f"{episode.path} holds no command of {arm}: nothing to replay")
        if sorted(stream.names) != sorted(JOINTS):
            raise EpisodeError(
                f"{episode.path}: {topic} has the joints {', '.join(stream.names)}; expected "
                f"{', '.join(JOINTS)}"
            )
        if not np.isfinite(stream.position).all():
            raise EpisodeError(f"{episode.path}: {topic} holds positions that are no numbers")
        if (np.diff(stream.stamps_ns) < 0).any():
            raise EpisodeError(
                f"{episode.path}: the stamps of {topic} run backwards; was the clock set while it "
                "was recorded?"
            )
    start = min(int(streams[topic].stamps_ns[0]) for topic in topics.values())
    return {arm: _path_of(streams[topic], start) for arm, topic in topics.items()}


def _path_of(stream: JointStream, start_ns: int) -> JointPath:
    """Of commands at the same time (simulated time moves in steps), or nearly so (a cycle was late,
    the next one was not), the last counts."""
    last = np.append(np.diff(stream.stamps_ns) >= SHORTEST_STEP_NS, True)
    order = [stream.names.index(joint) for joint in JOINTS]
    return joint_path(stream.stamps_ns[last] - start_ns, stream.position[last][:, order])

"""Who commanded the followers at each step: nobody, a policy or a human.

In a rollout the chunk player says so at every tick (aloha_interfaces/PlayerState). An episode in
which no player was at work is a demonstration: a human commanded all of it.
"""

from collections.abc import Mapping

import numpy as np

from aloha_stack.episodes.contents import Contents
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.said_numbers import PLAYER_STATE
from aloha_stack.episodes.step_grid import BESIDE_NS, HOLD, pick

NOBODY, POLICY, HUMAN = range(3)
COMMANDERS = ("nobody", "policy", "human")
"""By code. Codes are those of PlayerState, where a human is the OPERATOR (a test compares)."""

IDLE = 0
"""PlayerState's state outside of a rollout, in which others may command."""

SILENT_NS = 1_000_000_000
"""A player that has said nothing for so long is gone, and the arms hold. It speaks at every tick of
a rollout, and twice a second else."""


def commanders_at(contents: Contents, time_ns: np.ndarray) -> np.ndarray:
    """The code (T,) uint8 of who commands at each of the times (T,) int64 ns: the latest that was
    said at or before it.

    That is who gave the action of a step at this time, too: a target takes one step on its way to
    the wire, and a step's action is the command that is executed one step after it. Raises
    EpisodeError for a commander that is not known.
    """
    return latest(*_said(contents), time_ns)


def latest(stamps_ns: np.ndarray, said: np.ndarray, time_ns: np.ndarray) -> np.ndarray:
    """As `commanders_at`, from the stamps (n,), sorted, and what was said then: state and commander
    (n, 2)."""
    if not (said[:, 0] != IDLE).any():
        return np.full(len(time_ns), HUMAN, np.uint8)
    index = pick(stamps_ns, time_ns, HOLD)
    since = time_ns - stamps_ns[index]
    known = (since >= -BESIDE_NS) & (since <= SILENT_NS)
    return np.where(known, said[index, 1], NOBODY).astype(np.uint8)


def counted(commander: np.ndarray) -> dict[str, int]:
    """How many steps each of COMMANDERS has in `commander` (T,); without those that have none."""
    counts = np.bincount(commander, minlength=len(COMMANDERS))
    return {name: int(count) for name, count in zip(COMMANDERS, counts, strict=True) if count}


def is_rollout(counts: Mapping[str, int]) -> bool:
    """Whether anybody but a human commanded, or nobody at times."""
    return any(counts.get(COMMANDERS[code]) for code in (NOBODY, POLICY))


def in_words(counts: Mapping[str, int]) -> str:
    """As "human 120, policy 300": steps by commander."""
    return ", ".join(f"{name} {counts[name]}" for name in COMMANDERS[::-1] if counts.get(name))


def _said(contents: Contents) -> tuple[np.ndarray, np.ndarray]:
    """Stamps (n,) int64, sorted, and what was said then, (n, 2): state and commander."""
    stamps, said = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.int64)]
    for topic, columns in contents.said.items():
        if contents.types[topic] == PLAYER_STATE and "commander" in columns:
            commander = columns["commander"]
            if commander.size and commander.max() >= len(COMMANDERS):
                known = ", ".join(f"{code} {name}" for code, name in enumerate(COMMANDERS))
                raise EpisodeError(
                    f"{topic} says that {commander.max()} commands; known are {known}"
                )
            said.append(np.stack([columns["state"], commander], axis=1))
            stamps.append(contents.stamps_ns[topic])
    together = np.concatenate(stamps)
    order = np.argsort(together, kind="stable")
    return together[order], np.concatenate(said)[order]

"""A policy in its place in the graph: slow to think, its chunks merged as the chunk player does."""

import time
from collections import deque
from dataclasses import dataclass

import numpy as np

from aloha_stack.control.chunks import MODES, ChunkBroken, ChunkRefused, ChunkSchedule
from aloha_stack.control.row_rate import finer, rows_between
from aloha_stack.evaluation.numbers import RobotNumbers
from aloha_stack.policies.policy import ChunkError, Observation, Policy


@dataclass(frozen=True)
class Execution:
    """How chunks are made and merged; times in ticks of 20 ms. Raises ValueError.

    A chunk made from an observation of one tick counts from the tick `inference` later on: that is
    the way of joints and pictures to the policy, thinking, and the way of the chunk to the player.
    It cannot be 0, for a reading is 10 ms old when a tick knows it. The policy thinks of one
    observation at a time, and of one every `query` ticks at most.
    """

    mode: str = "ensemble"
    m: float = 0.01
    query: int = 1
    inference: int = 1
    blend_s: float = 0.2

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"execution {self.mode!r} is none of {', '.join(MODES)}")
        if self.query < 1 or self.inference < 1:
            raise ValueError("query and inference are whole ticks, from 1")

    @property
    def every(self) -> int:
        """Ticks from one observation to the next."""
        return max(self.query, self.inference)


class PolicyCommands:
    """Targets at every tick of one episode, from the chunks of `policy`."""

    def __init__(
        self, policy: Policy, numbers: RobotNumbers, execution: Execution, tick_ns: int
    ) -> None:
        self._policy, self._numbers, self._execution = policy, numbers, execution
        self._tick_ns = tick_ns
        self._between = rows_between(1e9 / tick_ns, policy.spec.rate_hz)
        self._schedule = ChunkSchedule(tick_ns, execution.mode, execution.m, execution.blend_s)
        self._under_way: deque[tuple[int, int, np.ndarray | None, str]] = deque()
        self._next_ns = 0
        self._moving = False
        self.holds = self.refused = 0
        self.reason = ""
        """Why it holds, or what the policy did wrong last."""
        self.seconds: list[float] = []
        """How long each chunk took here."""

    def begin(self, position: np.ndarray, now_ns: int) -> None:
        """The episode begins at `now_ns`, with the joints commanded to `position` (14,) rad."""
        self._policy.reset()
        self._schedule.begin(position, now_ns)
        self._next_ns = now_ns

    def asks(self, now_ns: int) -> bool:
        """Whether the policy looks at what is at `now_ns`."""
        return now_ns >= self._next_ns

    def observe(self, observation: Observation) -> None:
        """The policy thinks. Raises ObservationError; a chunk that is none ends in a hold."""
        now_ns, chunk, error = observation.stamp_ns, None, ""
        self._next_ns = now_ns + max(self._execution.every, self._between) * self._tick_ns
        began_s = time.perf_counter()
        try:
            chunk = finer(self._numbers.angles(self._policy.act(observation)), self._between)
        except ChunkError as broken:
            error = str(broken)
        self.seconds.append(time.perf_counter() - began_s)
        arrives_ns = now_ns + self._execution.inference * self._tick_ns
        self._under_way.append((arrives_ns, now_ns, chunk, error))

    def target(self, now_ns: int) -> np.ndarray:
        """The joints' targets (14,) rad at a tick."""
        while self._under_way and self._under_way[0][0] <= now_ns:
            _, stamp_ns, chunk, error = self._under_way.popleft()
            self._arrive(stamp_ns, chunk, error, now_ns)
        target = self._schedule.target(now_ns)
        assert target.position is not None, "the episode has begun"
        self.holds += self._moving and bool(target.holding)
        self._moving = not target.holding
        return target.position

    def _arrive(self, stamp_ns: int, chunk: np.ndarray | None, error: str, now_ns: int) -> None:
        try:
            if chunk is None:
                raise ChunkBroken(error)
            self._schedule.add(stamp_ns, chunk, now_ns, alone=self._policy.spec.stateful)
        except ChunkBroken as broken:
            self._refuse(str(broken))
            self._schedule.hold(now_ns, str(broken))
        except ChunkRefused as refusal:
            self._refuse(str(refusal))

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        self.reason = reason

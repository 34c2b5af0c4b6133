"""A flow to a goal as a policy: integrated into joint targets inside the limits.

What is integrated is a *reference*: where the arms are sent. It flows on from tick to tick, by the
flow's own `step`; a chunk is its next stretch. Arms follow it with a lag, so their measured joints
are compared with where it was lately. Only joints that are farther from all of that than the
tolerance count as pushed: then the flow begins anew from where they are.

The goal can be set at any time; the reference goes on from where it is, without a jump, as its flow
depends on the way to the goal alone. Grippers, and arms that the policy does not move, stay as they
were in the first observation after a reset.
"""

from collections import deque
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies.policy import (
    NAMES,
    Observation,
    PolicyError,
    PolicySpec,
    check_chunk,
    check_observation,
)
from aloha_stack.policies.snds_config import Motion, SndsConfig
from aloha_stack.policies.stable_steps import Limit
from aloha_stack.policies.state_spaces import StateSpace, check_goal

LAG_S = 0.3
"""What arms may be behind where they were sent."""
FORGETS_S = 1.0
"""After so long without an observation, or one from the past, the flow begins anew."""


class Flow(Protocol):
    """Moves states, relative to the goal, in the network's units."""

    def step(self, x: Tensor, time: float, limit: Limit | None = None) -> Tensor:
        """Where states (B, dim) are `time` later, inside the limits."""


class FlowPolicy:
    """Chunks of a flow. Not for several threads at once."""

    def __init__(
        self,
        spec: PolicySpec,
        flow: Flow,
        space: StateSpace,
        config: SndsConfig,
        motion: Motion,
    ) -> None:
        """Raises PolicyError for a spec of other numbers, or a goal outside the limits."""
        if spec.state_names != NAMES or spec.action_names != NAMES or spec.cameras:
            raise PolicyError(
                f"spec: {spec.policy} takes the 14 positions, gives 14, and has no camera"
            )
        check_goal(motion.goal, motion, config.columns)
        self._spec, self.config, self.motion = spec, config, motion
        self._flow, self.space = flow, space
        self._tick_ns = round(1e9 / spec.rate_hz)
        self._tick = spec.dt_s / motion.time_s  # in the network's time
        self._goal = motion.goal
        self.reset()

    @property
    def spec(self) -> PolicySpec:
        return self._spec

    @property
    def goal(self) -> np.ndarray:
        """The state (14,) at which it ends; grippers in it count for nothing."""
        return self._goal.copy()

    def set_goal(self, state: np.ndarray) -> None:
        """Another goal, in mid-motion or not. Raises PolicyError for one outside the limits."""
        check_goal(state, self.motion, self.config.columns)
        self._goal = np.asarray(state, dtype=float).copy()
        self._turned = True

    def adjust(self, name: str, value: str) -> None:
        """The option goal_JOINT=RAD, as goal_left_waist=0.3, moves the goal. Raises PolicyError."""
        joints = [NAMES[column] for column in self.config.columns]
        joint = name.removeprefix("goal_")
        if not name.startswith("goal_") or joint not in joints:
            known = ", ".join(f"goal_{one}" for one in joints)
            raise PolicyError(f"option {name}: unknown; there are {known}")
        goal = self.goal
        try:
            goal[NAMES.index(joint)] = float(value)
        except ValueError:
            raise PolicyError(f"option {name}: expected rad, found {value!r}") from None
        self.set_goal(goal)

    def reset(self) -> None:
        """Forgets where the arms were sent; the goal stays."""
        self._way: deque[tuple[int, np.ndarray]] = deque()  # time in ns, state (14,)
        self._x = np.zeros(self.config.dim)  # of the way's last point
        self._still: np.ndarray | None = None
        self._turned = True
        self._last_ns: int | None = None

    def act(self, observation: Observation) -> np.ndarray:
        """The chunk (n, 14) float32. Raises ObservationError, ChunkError."""
        check_observation(self._spec, observation)
        now_ns, state = observation.stamp_ns, observation.state.astype(np.float64)
        self._follow(now_ns, state)
        end_ns = now_ns + (self._spec.chunk - 1) * self._tick_ns
        while self._way[-1][0] < end_ns:
            self._go_on()
        times = now_ns + self._tick_ns * np.arange(self._spec.chunk)
        chunk = self._at(times).astype(np.float32)
        check_chunk(self._spec, chunk)
        return chunk

    def _follow(self, now_ns: int, state: np.ndarray) -> None:
        """Brings the way up to now: goes on with it, or begins it anew."""
        gap_s = FORGETS_S if self._last_ns is None else (now_ns - self._last_ns) / 1e9
        self._last_ns = now_ns
        if not 0 <= gap_s < FORGETS_S:
            self._still = None
        if self._still is None:
            self._still = state.copy()
            self._begin(now_ns, state)
        elif self._pushed(now_ns, state):
            self._begin(now_ns, state)
        elif self._turned:
            self._turn()
            here = self._at(np.array([now_ns]))[0]
            while self._way[-1][0] >= now_ns:
                self._way.pop()
            self._send(now_ns, self.space.coordinates(here), here)
        oldest_ns = now_ns - round(LAG_S * 1e9)
        while len(self._way) > 2 and self._way[1][0] < oldest_ns:
            self._way.popleft()

    def _begin(self, now_ns: int, state: np.ndarray) -> None:
        """A way from where the arms are, drawn into the limits."""
        assert self._still is not None
        self._turn()
        here = self._still.copy()
        here[self.config.columns] = state[self.config.columns]
        x = torch.from_numpy(self.space.coordinates(here))[None]
        inside = self.space.limit(x)[0].numpy()
        self._way.clear()
        self._send(now_ns, inside, self.space.joints(inside, here))

    def _pushed(self, now_ns: int, state: np.ndarray) -> bool:
        """Whether the arms are away from everywhere that they were sent lately."""
        columns = self.config.columns
        sent = [point[columns] for time_ns, point in self._way if time_ns <= now_ns]
        sent.append(self._at(np.array([now_ns]))[0, columns])
        away = np.abs(np.array(sent) - state[columns]).max(axis=1)
        return bool(away.min() > self.config.tolerance_rad)

    def _turn(self) -> None:
        """Takes a new goal up."""
        if self._turned:
            self.space.set_goal(self._goal)
            self._turned = False

    def _go_on(self) -> None:
        """One tick more of the way."""
        time_ns, state = self._way[-1]
        x = self._flow.step(torch.from_numpy(self._x)[None], self._tick, self.space.limit)
        here = x[0].numpy()
        self._send(time_ns + self._tick_ns, here, self.space.joints(here, state))

    def _send(self, time_ns: int, x: np.ndarray, state: np.ndarray) -> None:
        self._x = x
        self._way.append((time_ns, state))

    def _at(self, times_ns: np.ndarray) -> np.ndarray:
        """States (n, 14) of the way, at these times or at its nearer end."""
        first_ns = self._way[0][0]
        stamps = np.array([time_ns - first_ns for time_ns, _ in self._way], dtype=float)
        points = np.array([point for _, point in self._way])
        when = np.clip(times_ns - first_ns, 0, stamps[-1])
        after = np.clip(np.searchsorted(stamps, when), 1, max(len(stamps) - 1, 1))
        if len(stamps) == 1:
            return np.repeat(points, len(when), axis=0)
        part = (when - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        states: np.ndarray = points[after - 1] + part[:, None] * (points[after] - points[after - 1])
        return states

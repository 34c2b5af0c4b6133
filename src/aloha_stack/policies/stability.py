"""Looks for states where a stable flow is not stable: at random, and by climbing towards them.

The guarantee follows from the networks' form (policies/stable_dynamics.py). This is its proof by
the numbers that are really computed: that weights are finite, that rounding spoils nothing, that
the code does what the formulas say. In float64, over a box twice as large as the demonstrations':

- V(x) >= epsilon |w(x)|² > 0 away from the goal (w: policies/warp.py, most often nothing), V = 0
  and f = 0 at it;
- V'(x)·f(x) <= -alpha V(x);                 both on random states, on states close to the goal, and
  on those that gradient ascent on what is violated leads to;
- V falls in every step of the control loop by the factor that `step` promises;
- from random starts the flow ends within 2 % of the demonstrations' extent in ten times their
  duration.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies.stable_dynamics import StableDynamics
from aloha_stack.policies.stable_steps import ARRIVED

ROUNDING = 1e-9
"""Of |V'| |f| + alpha V: what is no more than that above the bound is rounding."""
RESOLUTION = 1e-13
"""Of V in float64, which is a difference of numbers of size 1 to 100, and of 1 + V where it is
large. At ARRIVED V is 1e-10."""
WIDER = 2.0
"""How much larger than the demonstrations' the box is, along every axis."""
NEAR_PART = 0.2
"""Of the random states lie close to the goal, at distances of every order of magnitude."""
ARRIVES_PART = 0.02
DURATIONS = 10.0
MOST_STEPS = 20_000
BEYOND = 1e9
"""Instead of what is no number, which JSON does not know."""


@dataclass(frozen=True)
class Region:
    """The demonstrations' box around and beside the goal, in the network's units (dim,), and the
    control loop's period in the network's time."""

    low: np.ndarray
    high: np.ndarray
    period: float

    @property
    def extent(self) -> float:
        """The box's diagonal."""
        return float(np.linalg.norm(self.high - self.low))

    def wider(self) -> tuple[Tensor, Tensor]:
        """Corners of the box that is looked at."""
        middle, half = (self.low + self.high) / 2, WIDER * (self.high - self.low) / 2
        return torch.from_numpy(middle - half), torch.from_numpy(middle + half)


@dataclass(frozen=True)
class Effort:
    """How hard it is looked."""

    samples: int = 20_000
    climbers: int = 256
    climbs: int = 60
    steps: int = 4_000  # of the control loop, one each from so many states
    starts: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Findings:
    """Counts, and the worst that was seen; `holds` if nothing was violated."""

    samples: int
    not_positive: int
    not_falling: int
    worst: float  # largest (V'·f + alpha V) / (|V'| |f| + alpha V); positive: rounding, at most
    climbed: int
    climbed_not_positive: int
    climbed_not_falling: int
    climbed_worst: float
    moves_at_goal: bool
    steps: int
    steps_not_falling: int
    starts: int
    arrived: int
    farthest: float  # of the ends, in parts of the extent
    seed: int

    @property
    def violations(self) -> int:
        """Of what has to hold in every state and step."""
        return (
            self.not_positive
            + self.not_falling
            + self.climbed_not_positive
            + self.climbed_not_falling
            + self.steps_not_falling
            + int(self.moves_at_goal)
        )

    @property
    def holds(self) -> bool:
        return self.violations == 0 and self.arrived == self.starts

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "violations": self.violations, "holds": self.holds}


def examine(dynamics: StableDynamics, region: Region, effort: Effort | None = None) -> Findings:
    """Of a network in float64 (it is made that)."""
    effort = effort or Effort()
    dynamics.double().eval()
    draws = torch.Generator().manual_seed(effort.seed)
    states = _states(region, effort.samples, draws)
    climbed = _climb(dynamics, region, states[: effort.climbers], effort.climbs)
    with torch.no_grad():
        plain, found = _judge(dynamics, states), _judge(dynamics, climbed)
        goal = torch.zeros_like(states[:1])
        rests = dynamics(goal).abs().max() <= RESOLUTION
        lowest = dynamics.lyapunov(goal).abs().max() <= RESOLUTION
        stepping = torch.cat([states[: effort.steps], climbed])
        rises = _rises(dynamics, stepping, region.period)
        starts = torch.Generator().manual_seed(effort.seed)
        far = ends(dynamics.step, uniform(region, effort.starts, starts), region)
    return Findings(
        samples=len(states),
        not_positive=plain[0],
        not_falling=plain[1],
        worst=plain[2],
        climbed=len(climbed),
        climbed_not_positive=found[0],
        climbed_not_falling=found[1],
        climbed_worst=found[2],
        moves_at_goal=not bool(rests and lowest),
        steps=len(stepping),
        steps_not_falling=rises,
        starts=effort.starts,
        arrived=int((far <= ARRIVES_PART).sum()),
        farthest=float(far.max()),
        seed=effort.seed,
    )


def uniform(region: Region, count: int, draws: torch.Generator) -> Tensor:
    """States (count, dim) from the whole wider box."""
    low, high = region.wider()
    return low + (high - low) * torch.rand(count, len(low), generator=draws, dtype=torch.float64)


def _states(region: Region, count: int, draws: torch.Generator) -> Tensor:
    """In random order (count, dim); none within ARRIVED of the goal."""
    states = uniform(region, count, draws)
    near = round(NEAR_PART * count)
    way = torch.randn(near, states.shape[1], generator=draws, dtype=torch.float64)
    way = way / torch.linalg.vector_norm(way, dim=1, keepdim=True)
    orders = math.log(ARRIVED) + torch.rand(near, 1, generator=draws, dtype=torch.float64) * (
        math.log(region.extent) - math.log(ARRIVED)
    )
    states[:near] = way * orders.exp()
    return states[torch.randperm(count, generator=draws)]


def _excess(dynamics: StableDynamics, x: Tensor) -> Tensor:
    """(V'·f + alpha V) / (|V'| |f| + alpha V), (B,): above 0 where V does not fall fast enough."""
    value, slope = dynamics.lyapunov.value_and_slope(x)
    flow = dynamics(x)
    size = torch.linalg.vector_norm(slope, dim=1) * torch.linalg.vector_norm(flow, dim=1)
    asked = dynamics.alpha * value
    return ((slope * flow).sum(1) + asked) / (size + asked.abs() + 1e-300)


def _judge(dynamics: StableDynamics, x: Tensor) -> tuple[int, int, float]:
    """How often V is not positive, how often it does not fall, and the worst of the latter."""
    value = dynamics.lyapunov(x)
    warped = dynamics.lyapunov.warp(x)[0]
    least = dynamics.lyapunov.epsilon * (warped * warped).sum(1) * (1 - ROUNDING)
    excess = _excess(dynamics, x)
    # What is no number is violated, too.
    return (
        int((~((value >= least) & (value > 0))).sum()),
        int((~(excess <= ROUNDING)).sum()),
        float(excess.nan_to_num(nan=BEYOND, posinf=BEYOND).max()),
    )


def _climb(dynamics: StableDynamics, region: Region, x: Tensor, climbs: int) -> Tensor:
    """Where states end that go uphill on what must not be above 0, or on how low V is; every
    second one does the latter. Steps shrink from a tenth of the box to a thousandth."""
    low, high = region.wider()
    x = x.clone()
    for number in range(climbs):
        at = x.detach().requires_grad_()
        fall = _excess(dynamics, at)
        low_value = -dynamics.lyapunov(at) / (at * at).sum(1).clamp(min=ARRIVED**2)
        wanted = torch.where(torch.arange(len(at)) % 2 == 0, fall, low_value)
        (uphill,) = torch.autograd.grad(wanted.sum(), at)
        uphill = uphill.nan_to_num()
        length = torch.linalg.vector_norm(uphill, dim=1, keepdim=True).clamp(min=1e-300)
        size = 0.1 * 0.01 ** (number / max(climbs - 1, 1)) * (high - low)
        moved = (at.detach() + size * uphill / length).clamp(low, high)
        inside = torch.linalg.vector_norm(moved, dim=1, keepdim=True) > ARRIVED
        x = torch.where(inside, moved, x)
    return x.detach()


def _rises(dynamics: StableDynamics, x: Tensor, period: float) -> int:
    """How many steps of the control loop leave V higher than `step` promises."""
    before, after = dynamics.lyapunov(x), dynamics.lyapunov(dynamics.step(x, period))
    bound = math.exp(-dynamics.alpha * period / 2) * before
    return int((~(after <= bound + RESOLUTION * (1 + before))).sum())


def ends(step: Callable[[Tensor, float], Tensor], x: Tensor, region: Region) -> Tensor:
    """How far from the goal starts (B, dim) end after DURATIONS, in parts of the extent."""
    steps = min(math.ceil(DURATIONS / region.period), MOST_STEPS)
    for _ in range(steps):
        if not bool(x.any()):
            break  # all of them are at the goal
        x = step(x, region.period)
    distance = torch.linalg.vector_norm(x, dim=1) / region.extent
    return distance.nan_to_num(nan=BEYOND, posinf=BEYOND).clamp(max=BEYOND)

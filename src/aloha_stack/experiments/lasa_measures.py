"""How well a flow writes: beside the demonstration that it never saw, and from everywhere else."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aloha_stack.experiments.lasa_data import Shape
from aloha_stack.experiments.lasa_methods import Writer
from aloha_stack.policies.stability import (
    ARRIVES_PART,
    Effort,
    Region,
    ends,
    examine,
    uniform,
)
from aloha_stack.policies.stable_dynamics import StableDynamics

RATE_HZ = 50.0
DTW_POINTS = 200
TIMED_STEPS = 200
EFFORT = Effort(samples=10_000, climbers=256, climbs=40, steps=2_000)


@dataclass(frozen=True)
class Measures:
    """Of one network on one shape. Lengths are in units of the shape's scale, velocities in scale
    a duration; `violations` and `steps_raising` are None for what has no V."""

    velocity_error: float  # RMS on the held-out demonstration
    dtw: float  # square root of the summed squares along the best warping of 200 points
    end_error: float  # distance from the goal when the demonstration is over
    arrived: int  # of `starts`
    starts: int
    violations: int | None
    states_not_falling: int | None
    steps_raising: int | None
    step_ms: float  # median, one step of the control loop

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(network: Writer, shape: Shape) -> tuple[Measures, np.ndarray]:
    """What there is to say, and the way (T, 2) that it writes from the held-out start."""
    network = network.double().eval()
    period = 1.0 / (RATE_HZ * shape.time_s)
    test = torch.from_numpy(shape.test)
    speed = (len(test) - 1) / shape.test_duration
    wanted = (test[1:] - test[:-1]) * speed
    with torch.no_grad():
        error = (network(test[:-1]) - wanted).square().sum(1).mean().sqrt()
        way = _written(network, test[:1], period, shape.test_duration)
    low, high = shape.everything
    region = Region(low, high, period)
    values: dict[str, Any] = {"violations": None, "states_not_falling": None, "steps_raising": None}
    if isinstance(network, StableDynamics):
        found = examine(network, region, EFFORT)
        arrived, starts = found.arrived, found.starts
        values = {
            "violations": found.violations,
            "states_not_falling": found.not_falling + found.climbed_not_falling,
            "steps_raising": found.steps_not_falling,
        }
    else:
        arrived, starts = _arrived(network, region), EFFORT.starts
    return (
        Measures(
            velocity_error=float(error),
            dtw=dtw(_even(way), _even(shape.test)),
            end_error=float(np.linalg.norm(way[-1])),
            arrived=arrived,
            starts=starts,
            step_ms=_step_ms(network, test[:1], period),
            **values,
        ),
        way,
    )


def dtw(one: np.ndarray, other: np.ndarray) -> float:
    """Dynamic time warping of curves (n, d) and (m, d): the least square root of the summed squared
    distances of pairs, over all pairings that skip no point and never go back.

    Cells (i, j) of one i + j depend on the two diagonals before it only. Source: Sakoe and Chiba
    1978; the value is that of dtaidistance's dtw_ndim.
    """
    rows, columns = len(one), len(other)
    cost = ((one[:, None] - other[None]) ** 2).sum(-1)
    before, last = np.full(rows + 1, np.inf), np.full(rows + 1, np.inf)
    before[0] = 0.0  # the empty pairing, in the corner of the table
    for total in range(2, rows + columns + 1):
        i = np.arange(max(1, total - columns), min(rows, total - 1) + 1)
        now = np.full(rows + 1, np.inf)
        best = np.minimum(np.minimum(last[i - 1], last[i]), before[i - 1])
        now[i] = cost[i - 1, total - i - 1] + best
        before, last = last, now
    return math.sqrt(float(last[rows]))


def _written(network: Writer, start: Tensor, period: float, duration: float) -> np.ndarray:
    points = [start]
    for _ in range(math.ceil(duration / period)):
        points.append(network.step(points[-1], period))
    return torch.cat(points).nan_to_num(nan=1e6, posinf=1e6, neginf=-1e6).clamp(-1e6, 1e6).numpy()


def _arrived(network: Writer, region: Region) -> int:
    """As policies/stability.py counts it, of a network without a V."""
    draws = torch.Generator().manual_seed(EFFORT.seed)
    starts = uniform(region, EFFORT.starts, draws)
    return int((ends(network.step, starts, region) <= ARRIVES_PART).sum())


def _even(way: np.ndarray) -> np.ndarray:
    before, after = np.linspace(0, 1, len(way)), np.linspace(0, 1, DTW_POINTS)
    return np.stack([np.interp(after, before, column) for column in way.T], axis=1)


def _step_ms(network: Writer, x: Tensor, period: float) -> float:
    """On one core, a state at a time, along its way, as a policy steps."""
    stepping = network.for_acting() if type(network) is StableDynamics else network
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = []
        for _ in range(TIMED_STEPS):
            began = time.perf_counter()
            x = stepping.step(x, period)
            times.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    return 1000 * float(np.median(times))

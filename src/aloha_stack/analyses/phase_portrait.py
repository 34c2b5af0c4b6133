"""A stable flow as a picture: where it goes, and the level lines of V that it crosses inwards."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aloha_stack.policies.policy import NAMES
from aloha_stack.policies.snds import SndsPolicy
from aloha_stack.policies.snds_config import JOINT_SPACE
from aloha_stack.policies.stability import Region
from aloha_stack.policies.stable_dynamics import StableDynamics

GRID = 80
LEVELS = 14
STARTS = 24
POSE_NAMES = ("x", "y", "z", "turn about x", "turn about y", "turn about z")


@dataclass(frozen=True)
class Plane:
    """Two coordinates; all others are the goal's."""

    across: int
    up: int
    names: tuple[str, str]


def widest(region: Region, names: tuple[str, ...]) -> Plane:
    """The two coordinates along which the demonstrations reach farthest."""
    across, up = np.argsort(region.low - region.high, kind="stable")[:2]
    return Plane(int(across), int(up), (names[across], names[up]))


def plane_of(policy: SndsPolicy) -> Plane:
    """The plane in which a policy is shown."""
    config, motion = policy.config, policy.motion
    if config.space == JOINT_SPACE:
        names = tuple(NAMES[column].replace("_", " ") for column in config.columns)
    else:
        names = tuple(f"{arm} {name}" for arm in config.arms for name in POSE_NAMES)
    return widest(Region(motion.low, motion.high, 1.0), names)


def draw(dynamics: StableDynamics, region: Region, plane: Plane, file: Path) -> Path:
    """Writes the picture (PNG): twice the demonstrations' box, ways from random starts in it."""
    figure = Figure(figsize=(7.5, 6.5), facecolor="white")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    portrait(axis, dynamics, region, plane)
    axis.set_xlabel(plane.names[0])
    axis.set_ylabel(plane.names[1])
    axis.set_title("flow and level lines of V; the goal is at 0", loc="left", fontsize=10)
    figure.savefig(file, dpi=110, bbox_inches="tight")
    return file


@torch.no_grad()
def portrait(axis: Axes, dynamics: StableDynamics, region: Region, plane: Plane) -> None:
    """Into an axis."""
    low, high = (corner.numpy() for corner in region.wider())
    chosen = [plane.across, plane.up]
    across, up = (np.linspace(low[one], high[one], GRID) for one in chosen)
    points = torch.zeros(GRID * GRID, len(low), dtype=torch.float64)
    points[:, chosen] = torch.from_numpy(np.stack(np.meshgrid(across, up), -1).reshape(-1, 2))
    value = dynamics.lyapunov(points).numpy().reshape(GRID, GRID)
    flow = dynamics(points)[:, chosen].numpy().reshape(GRID, GRID, 2)
    # Even steps of the root: V grows like a square.
    levels = np.linspace(0, np.sqrt(value.max()), LEVELS)[1:] ** 2
    axis.contour(across, up, value, levels=levels, cmap="viridis", linewidths=0.8)
    axis.streamplot(
        across, up, flow[..., 0], flow[..., 1], color="0.75", linewidth=0.6, arrowsize=0.7
    )
    draws = np.random.default_rng(0)
    x = torch.zeros(STARTS, len(low), dtype=torch.float64)
    x[:, chosen] = torch.from_numpy(draws.uniform(low[chosen], high[chosen], (STARTS, 2)))
    ways = [x]
    for _ in range(min(int(np.ceil(3 / region.period)), 1000)):
        x = dynamics.step(x, region.period)
        ways.append(x)
    drawn = torch.stack(ways)[..., chosen].numpy()
    axis.plot(drawn[..., 0], drawn[..., 1], color="#b03a2e", linewidth=0.8, alpha=0.7)
    axis.plot(0, 0, marker="*", color="black", markersize=10)
    axis.set_xlim(low[plane.across], high[plane.across])
    axis.set_ylim(low[plane.up], high[plane.up])

"""SNDS as an objective: demonstrated motions that end at a goal, as a flow that ends there.

What is learnt is the way of the *commands*: they are what the policy's reference continues, and
they carry no noise of measuring. Of each episode the last stretch without a gap counts, from where
it begins to move to where it has come to rest; its own end is x = 0, and the goal of the policy is
the middle of all ends. Episodes that end elsewhere are refused by name.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from aloha_stack.policies.certifying import certify
from aloha_stack.policies.checkpoint import Checkpoint
from aloha_stack.policies.cloning import PlainDynamics
from aloha_stack.policies.policy import PolicyError, PolicySpec
from aloha_stack.policies.snds import dynamics_of
from aloha_stack.policies.snds_config import POSE_SPACE, Motion, SndsConfig
from aloha_stack.policies.snds_robot import kinematics, limits
from aloha_stack.policies.state_spaces import check_goal, state_space
from aloha_stack.training.dataset import Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.objective import Network, Term, Terms
from aloha_stack.training.recipes import Recipe, RecipeError
from aloha_stack.training.snds_loss import Alignment, terms
from aloha_stack.training.statistics import Statistics
from aloha_stack.training.store import EpisodeStore
from aloha_stack.training.tracks import TrackDataset, TrackError, trimmed

LOSS = {"velocity": 1.0, "rollout": 1.0, "srvf": 0.1, "horizon": 8, "stride": 4, "ends": 0.1}
"""Keys of the recipe's `loss`. `stride`: ticks of one Euler step of the rollout; `ends`: how far
from the goal an episode may end, in parts of the motion's extent."""

CHUNK = 10
"""Rows: 0.2 s at 50 Hz, so that inference may come late now and then."""
LEAST_SCALE = 0.05
"""rad or m: a coordinate that hardly moves is not blown up."""


class SndsObjective:
    """A stable flow in the joints or poses of a store's episodes."""

    policy = "snds"
    losses_are = (
        "Losses are mean squared errors of velocity, in the motion's scale over its duration."
    )
    kept_clean: tuple[str, ...] = ()

    def __init__(
        self, recipe: Recipe, store: EpisodeStore, statistics: Mapping[str, Statistics]
    ) -> None:
        """Draws the start weights from torch's generator. Raises RecipeError, TrainingError."""
        loss = {**LOSS, **recipe.loss}
        _check_loss(loss)
        self._stride, self._ends = int(loss["stride"]), float(loss["ends"])
        self._alignment = Alignment(
            loss["velocity"], loss["rollout"], loss["srvf"], int(loss["horizon"])
        )
        self.judged_by = "rollout" if self._alignment.rollout > 0 else "velocity"
        try:
            self.config = SndsConfig.from_dict(recipe.network)
            self.motion = self._measured(store)
        except PolicyError as error:
            raise RecipeError(f"network.{error}") from error
        first = store.episodes[0]
        self.spec = PolicySpec(
            policy=self.policy,
            robot=first.robot,
            cameras=(),
            image_size=None,
            chunk=CHUNK,
            task=", ".join(sorted({episode.task for episode in store.episodes})),
            rate_hz=float(store.settings.alignment.step_hz),
        )
        self._step = self._stride * self.spec.dt_s / self.motion.time_s
        self.module = self.network()

    def network(self) -> nn.Module:
        """Start weights, drawn from torch's generator."""
        return dynamics_of(self.config)

    def dataset(self, store: EpisodeStore) -> TrackDataset:
        """Windows of the store's motions. Raises TrainingError for ends away from the goal."""
        return TrackDataset(
            [track / self.motion.scale for track in self._tracks(store, self.motion)],
            self._alignment.steps + 2,
            self._stride,
        )

    def loss(self, network: Network, batch: Sample, draws: Draws) -> Terms:
        """Errors of velocity, now and along a rollout."""
        window = batch["window"]
        found = terms(network, window, self._step, self._alignment)
        return {
            name: Term(mean, len(window), getattr(self._alignment, name))
            for name, mean in found.items()
        }

    def validate(self, network: Network, batch: Sample) -> Terms:
        """The same."""
        window = batch["window"]
        found = terms(network, window, self._step, self._alignment)
        return {name: Term(mean, len(window)) for name, mean in found.items()}

    def groups(self) -> Mapping[str, Sequence[str]]:
        """All alike."""
        return {"main": [name for name, _ in self.module.named_parameters()], "backbone": []}

    def rounded(self, name: str) -> bool:
        """None: a gradient of V that is rounded leads elsewhere."""
        return False

    def checkpoint(self, weights: Mapping[str, Tensor]) -> Checkpoint:
        """It may be loaded once it has its certificate, see `finish`."""
        statistics = {"motion": self.motion.as_dict()}
        return Checkpoint(self.spec, self.config.as_dict(), statistics, weights)

    def finish(self, folder: Path) -> str:
        """Examines what was learnt, and writes the certificate; says what was found."""
        found = certify(folder)
        if not found.holds:
            return (
                f"no certificate: {found.violations} violations, {found.arrived} of {found.starts} "
                f"starts arrived; `./aloha analyse stability {folder}` shows where"
            )
        return (
            f"certificate: {found.samples + found.climbed} states and {found.steps} steps without "
            f"a violation, {found.arrived} of {found.starts} starts arrived"
        )

    def _measured(self, store: EpisodeStore) -> Motion:
        """Goal, scale, time and box of a store's motions."""
        lower, upper = limits(store.episodes[0].robot)
        goal = np.median([episode.action[-1] for episode in store.episodes], axis=0).astype(float)
        check_goal(goal, Motion(goal, lower, upper, *_units(self.config.dim)), self.config.columns)
        plain = Motion(goal, lower, upper, *_units(self.config.dim))
        tracks = self._tracks(store, plain)
        points = np.concatenate(tracks)
        scale = np.full(self.config.dim, float(np.abs(points).max()))
        if self.config.space == POSE_SPACE:
            parts = np.abs(points).reshape(-1, 2, 3).max(axis=(0, 2))
            scale = np.tile(np.repeat(parts, 3), len(self.config.arms))
        scale = np.maximum(scale, LEAST_SCALE)
        seconds = np.mean([len(track) - 1 for track in tracks]) / store.settings.alignment.step_hz
        return Motion(
            goal=goal,
            lower=lower,
            upper=upper,
            scale=scale,
            time_s=float(seconds),
            low=points.min(axis=0) / scale,
            high=points.max(axis=0) / scale,
        )

    def _tracks(self, store: EpisodeStore, motion: Motion) -> list[np.ndarray]:
        """Each episode's way to its own end, (T, dim) rad or m. Raises TrainingError."""
        unit = Motion(motion.goal, motion.lower, motion.upper, *_units(self.config.dim))
        space = state_space(self.config, unit, kinematics(store.episodes[0].robot, self.config))
        tracks, ends = [], []
        for episode in store.episodes:
            last = episode.segment == episode.segment[-1]
            action = episode.action[last].astype(float)
            space.set_goal(motion.goal)
            ends.append(space.coordinates(action[-1]))
            space.set_goal(action[-1])
            try:
                tracks.append(trimmed(np.array([space.coordinates(row) for row in action])))
            except TrackError as error:
                raise TrainingError(f"{episode.path}: {error}; leave it out") from error
        extent = max(float(np.abs(track).max()) for track in tracks)
        elsewhere = [
            f"{episode.path} ({np.abs(end).max():.3f} rad or m away)"
            for episode, end in zip(store.episodes, ends, strict=True)
            if np.abs(end).max() > self._ends * extent
        ]
        if elsewhere:
            raise TrainingError(
                f"these episodes do not end at the goal, within {self._ends:g} of the motion's "
                f"extent ({extent:.3f}): {', '.join(elsewhere[:5])}; leave them out, or set "
                "loss.ends"
            )
        return tracks


class CloningObjective(SndsObjective):
    """The same without a V, for comparison."""

    policy = "cloning"

    def network(self) -> nn.Module:
        """As above."""
        return PlainDynamics(self.config.dim, self.config.hidden)

    def finish(self, folder: Path) -> str:
        """Nothing is examined."""
        return "it promises no stability, and needs no certificate"


def _units(dim: int) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Scale, time, box of a motion that is not measured yet."""
    return np.ones(dim), 1.0, np.zeros(dim), np.zeros(dim)


def _check_loss(loss: Mapping[str, Any]) -> None:
    unknown = [key for key in loss if key not in LOSS]
    if unknown:
        raise RecipeError(f"loss.{unknown[0]}: unknown; expected one of {', '.join(LOSS)}")
    for key, default in LOSS.items():
        value, whole = loss[key], isinstance(default, int)
        number = isinstance(value, int) if whole else isinstance(value, int | float)
        if isinstance(value, bool) or not number or not (1 if whole else 0) <= value < 1e6:
            least = "a whole number from 1" if whole else "a number from 0"
            raise RecipeError(f"loss.{key}: expected {least}, found {value!r}")

"""The networks that `./aloha bench inference` measures, and what they see."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from aloha_stack.bench.footage import footage
from aloha_stack.policies.act import Act
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.act_policy import ActPolicy
from aloha_stack.policies.checkpoint import load
from aloha_stack.policies.fast_bytes import multiplies_bytes
from aloha_stack.policies.normalisation import Normaliser
from aloha_stack.policies.options import EAGER, FAST, INT8
from aloha_stack.policies.policy import NAMES, Observation, PolicyError, PolicySpec
from aloha_stack.robot.joints import CAMERAS
from aloha_stack.training.dataset import EpisodeDataset
from aloha_stack.training.recipes import load_recipe
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.store import open_episodes

NATIVE = (480, 640)
OBSERVATIONS = 4
SPREAD = 0.3
"""Of joints (rad), where no data says it: about that of a task's demonstrations."""
SMALL = "act_cpu"


@dataclass(frozen=True)
class Subject:
    """A network as each backend computes it, and observations for it."""

    name: str
    policies: Mapping[str, ActPolicy]  # by backend
    observations: Sequence[Observation]

    @property
    def policy(self) -> ActPolicy:
        """The plain one."""
        return self.policies[EAGER]

    @property
    def faster(self) -> tuple[str, ...]:
        """Backends but the plain one."""
        return tuple(backend for backend in self.policies if backend != EAGER)

    def seconds(self, backend: str, number: int) -> float:
        """That a chunk for an observation takes."""
        return _seconds(self.policies[backend], self.observations[number])

    def actions(self, backend: str = EAGER) -> np.ndarray:
        """(n, T, 14), in units, for all observations."""
        return np.stack([self.policies[backend].act(seen) for seen in self.observations])


def full_size(data: Sequence[Path] | None) -> Subject:
    """The paper's network with start weights, four cameras of 640x480."""
    policy = untrained(ActConfig(), CAMERAS, NATIVE)
    return _subject("paper's sizes, not trained", policy, data)


def small_recipe() -> Subject:
    """The network of the recipe for CPUs, with start weights: no layer of it is heavy."""
    recipe = load_recipe(SMALL)
    cameras, size = recipe.data.cameras, recipe.data.image_size
    assert cameras is not None  # its own file says them
    assert size is not None
    config = ActConfig.from_dict({**recipe.network, "cameras": len(cameras)})
    return _subject(f"{SMALL}, not trained", untrained(config, cameras, size), None, (FAST,))


def of_model(folder: Path, data: Sequence[Path] | None) -> Subject:
    """A checkpoint's. Raises PolicyError if it cannot be loaded, or is no ACT."""
    policy = load(folder)
    if not isinstance(policy, ActPolicy):
        raise PolicyError(f"{folder}: policy '{policy.spec.policy}'; only ACT has several backends")
    return _subject(folder.name, policy, data)


def on_cuda(subject: Subject) -> Subject | None:
    """The same on this machine's GPU, where one is at hand."""
    if not torch.cuda.is_available():
        return None
    name = f"{subject.name}, {torch.cuda.get_device_name()}"
    network = Act(subject.policy.network.config)
    network.load_state_dict(subject.policy.network.state_dict())
    policies = {
        backend: _policy(subject.policy, network, backend, "cuda") for backend in (EAGER, FAST)
    }
    return Subject(name, policies, subject.observations)


def _subject(
    name: str,
    policy: ActPolicy,
    data: Sequence[Path] | None,
    backends: Sequence[str] = (FAST, INT8),
) -> Subject:
    """INT8 only where the processor has it: elsewhere it is FAST once more."""
    spec, count = policy.spec, sum(one.numel() for one in policy.network.parameters())
    height, width = spec.image_size or NATIVE
    cameras = f"{len(spec.cameras)} camera{'s' if len(spec.cameras) > 1 else ''}"
    observations = _drawn(spec) if data is None else _recorded(spec, data)
    return Subject(
        f"{name} ({count / 1e6:.1f} M, {cameras} {height}×{width})",
        {EAGER: policy}
        | {
            backend: _policy(policy, policy.network, backend, "cpu")
            for backend in backends
            if backend != INT8 or multiplies_bytes(policy.device)
        },
        observations,
    )


def _policy(policy: ActPolicy, network: Act, backend: str, device: str) -> ActPolicy:
    state, action = deepcopy(policy.state), deepcopy(policy.action)  # a device moves them in place
    return ActPolicy(policy.spec, network, state, action, device, backend)


def untrained(config: ActConfig, cameras: Sequence[str], size: tuple[int, int]) -> ActPolicy:
    """With start weights, always the same; chunks that stay near a mean of 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Act(config)
    spec = PolicySpec("act", "twin", tuple(cameras), size, config.chunk, "")
    state, action = (Normaliser([0.0] * len(NAMES), [SPREAD] * len(NAMES)) for _ in range(2))
    return ActPolicy(spec, network, state, action)


def _recorded(spec: PolicySpec, data: Sequence[Path]) -> list[Observation]:
    """Evenly spread over episodes. Raises EpisodeError."""
    settings = ReadSettings(cameras=spec.cameras, image_size=spec.image_size or NATIVE)
    steps = EpisodeDataset(open_episodes(data, settings), spec.chunk)
    observations = []
    for index in np.linspace(0, len(steps) - 1, OBSERVATIONS).astype(int):
        sample = steps[int(index)]
        images = dict(zip(spec.cameras, sample["images"].numpy(), strict=True))
        observations.append(Observation(sample["state"].numpy(), images))
    return observations


def _drawn(spec: PolicySpec) -> list[Observation]:
    """Footage and joints around their mean."""
    noise = np.random.default_rng(0)
    height, width = spec.image_size or NATIVE
    count = OBSERVATIONS * len(spec.cameras)
    with tempfile.TemporaryDirectory(prefix="aloha_bench_") as folder:
        files = sorted(footage(Path(folder), count, width, height).iterdir())
        pictures = iter([cv2.imread(str(file))[..., ::-1].copy() for file in files])
    return [
        Observation(
            noise.normal(0, SPREAD, len(spec.state_names)).astype(np.float32),
            {camera: next(pictures) for camera in spec.cameras},
        )
        for _ in range(OBSERVATIONS)
    ]


def _seconds(policy: ActPolicy, observation: Observation) -> float:
    began = time.perf_counter()
    policy.act(observation)
    return time.perf_counter() - began

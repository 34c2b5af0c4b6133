"""A trained recurrent policy and episodes, and what goes on in the one as it sees the others."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aloha_stack.episodes.alignment import AlignmentSettings
from aloha_stack.episodes.quality import DAMAGED, VERDICTS
from aloha_stack.policies.checkpoint import load
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.recurrent import Memory, Predicted, RecurrentNetwork, as_input
from aloha_stack.policies.recurrent_networks import CAE, NETWORKS
from aloha_stack.policies.recurrent_policy import RecurrentPolicy
from aloha_stack.policies.sarnn import LOST, Sarnn
from aloha_stack.progress import Progress
from aloha_stack.training.recurrent_parts import joint_columns
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.store import EpisodeStore, open_episodes


@dataclass(frozen=True)
class Seen:
    """An episode's first segment, T steps, as the network takes it."""

    path: Path
    times_s: np.ndarray  # (T,) from its beginning
    pictures: np.ndarray  # (T, H, W, 3) uint8 RGB, cut as the network sees them
    joints: np.ndarray  # (T, J) measured, in the robot's units
    commands: np.ndarray  # (T, J) likewise: command t is what belongs to step t


@dataclass(frozen=True)
class Trace:
    """What went on in a network over T steps."""

    predicted: Predicted  # of the next steps, (T, …)
    features: Tensor  # (T, F)
    joints: Tensor  # (T, J) that went in
    memories: tuple[Memory, ...]  # before each step; of the first one all is 0
    hidden: Tensor  # (T, D) of the last layer, after each step


class Subject:
    """The policy of a checkpoint folder, and its network's way of seeing episodes."""

    def __init__(self, checkpoint: Path) -> None:
        """Raises PolicyError for a checkpoint that is not of a recurrent policy."""
        policy = load(checkpoint)
        if not isinstance(policy, RecurrentPolicy):
            known = ", ".join(name for name in NETWORKS if name != CAE)
            raise PolicyError(
                f"{checkpoint} is of policy {policy.spec.policy}; this analysis is of recurrent "
                f"ones: {known}"
            )
        self.policy = policy
        self.spec = policy.spec
        self.network: RecurrentNetwork = policy.network
        self.columns = joint_columns(self.network.config)
        self.joint_names = [self.spec.state_names[column] for column in self.columns]

    def episodes(self, data: Sequence[Path], progress: Progress) -> EpisodeStore:
        """Read as the policy was trained. Raises EpisodeError."""
        settings = ReadSettings(
            cameras=self.spec.cameras,
            image_size=self.spec.image_size,
            crop=self.network.config.crop,
            alignment=AlignmentSettings(step_hz=self.spec.rate_hz),
            allowed=tuple(verdict for verdict in VERDICTS if verdict != DAMAGED),
        )
        return open_episodes(data, settings, progress.show)

    def sequence(self, store: EpisodeStore, number: int) -> Seen:
        """Raises EpisodeError for pictures that cannot be decoded."""
        episode = store.episodes[number]
        steps = range(int(episode.segment_end[0]))
        pictures = np.empty((len(steps), *store.picture_shape), np.uint8)
        for step in steps:
            store.frames.read(number, step, pictures[step])
        times = episode.time_ns[: len(steps)]
        return Seen(
            episode.path,
            (times - times[0]) * 1e-9,
            pictures[:, 0],
            episode.state[: len(steps), self.columns],
            episode.action[: len(steps), self.columns],
        )

    def sequences(self, store: EpisodeStore, progress: Progress) -> Iterator[Seen]:
        """Of all episodes in turn."""
        for number, episode in enumerate(store.episodes):
            progress.show(f"looking at {episode.path.name}", number / len(store.episodes))
            yield self.sequence(store, number)
        progress.clear()

    @torch.no_grad()
    def trace(self, sequence: Seen, input_param: float = 1.0, with_image: bool = False) -> Trace:
        """Step by step; after the first the network sees `input_param` * sensor + (1 - input_param)
        * prediction, of joints and, where it predicts one, of the picture."""
        part = input_param
        images = as_input(torch.from_numpy(sequence.pictures), self.network.config)
        sensed = self.policy.joints(torch.from_numpy(sequence.joints))
        memory: Memory | None = None
        told: Predicted | None = None
        features, inputs, memories, predictions, hidden = [], [], [], [], []
        for image, joints in zip(images[:, None], sensed[:, None], strict=True):
            if part < 1 and told is not None:
                joints = part * joints + (1 - part) * told.joints
                if told.image is not None:
                    image = part * image + (1 - part) * told.image
            encoded = self.network.encode(image)
            states, after = self.network.recur(encoded.feature[:, None], joints[:, None], memory)
            told = self.network.decode(states[:, 0], encoded, with_image or part < 1)
            features.append(encoded.feature)
            inputs.append(joints)
            memories.append(memory if memory is not None else _nothing(after))
            predictions.append(told)
            hidden.append(after.hidden)
            memory = after
        return Trace(
            _joined(predictions),
            torch.cat(features),
            torch.cat(inputs),
            tuple(memories),
            torch.cat(hidden),
        )

    def told(self, trace: Trace) -> np.ndarray:
        """Joints (T, J) of the next steps, in the robot's units."""
        joints: np.ndarray = self.policy.joints.inverse(trace.predicted.joints).numpy()
        return joints

    def pixels(self, points: Tensor, size: tuple[int, int]) -> np.ndarray:
        """Points (K, 2) in 0 … 1 of a map to x and y in a picture of `size` (height, width)."""
        lost = LOST if isinstance(self.network, Sarnn) else 0
        length = np.array([size[1] - 1 - lost, size[0] - 1 - lost])
        found: np.ndarray = points.clamp(0, 1).numpy() * length + lost / 2
        return found


def _joined(steps: Sequence[Predicted]) -> Predicted:
    """Predictions (1, …) of T steps as one (T, …)."""
    joints, *others = zip(*steps, strict=True)
    return Predicted(
        torch.cat(joints),
        *(None if other[0] is None else torch.cat(other) for other in others),
    )


def _nothing(like: Memory) -> Memory:
    """A memory at the beginning."""
    return Memory(
        torch.zeros_like(like.hidden),
        torch.zeros_like(like.cell),
        tuple(torch.zeros_like(one) for one in like.lower),
    )


def arguments(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """What all analyses of recurrent policies take: CHECKPOINT --data DIR … --out DIR."""
    parser = argparse.ArgumentParser(
        prog=f"./aloha analyse {name}",
        description=description.strip().splitlines()[0],
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="a trained policy's folder")
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        required=True,
        metavar="DIR",
        help="episodes, or folders of them",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for what it finds")
    return parser

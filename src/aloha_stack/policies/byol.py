"""Checkpoints of BYOL: an encoder for each camera, which begin other policies and do not act.

Weights are "CAMERA.NAME"; `config` is the encoder's (policies/encoders.py) and says, as "crop" and
"seen", what of the spec's pictures it saw (policies/sight.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from aloha_stack.policies.checkpoint import Checkpoint, read
from aloha_stack.policies.encoders import EncoderConfig
from aloha_stack.policies.policy import Policy, PolicyError, PolicySpec
from aloha_stack.policies.vinn_config import VinnConfig

NAME = "byol"
SIGHT = ("crop", "seen")


class ByolEncoders:
    """What the registry knows under this name."""

    @staticmethod
    def restore(
        spec: PolicySpec,
        config: Mapping[str, Any],
        statistics: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        device: str,
        backend: str,
    ) -> Policy:
        """Raises PolicyError."""
        raise PolicyError(
            "encoders begin other policies, they do not act themselves: "
            "`./aloha train vinn --encoder FOLDER`"
        )


@dataclass(frozen=True)
class Trained:
    """The encoders of a checkpoint: each camera's weights by name."""

    config: EncoderConfig
    weights: Mapping[str, Mapping[str, Tensor]]
    picture: tuple[int, int] | None  # (height, width) of what they saw


def read_encoders(folder: str | Path) -> Trained:
    """Of a BYOL checkpoint folder. Raises PolicyError."""
    return trained(read(folder), folder)


def trained(checkpoint: Checkpoint, source: str | Path) -> Trained:
    """The parts of a BYOL checkpoint; `source` is for errors. Raises PolicyError."""
    if checkpoint.spec.policy != NAME:
        raise PolicyError(f"{source}: a policy '{checkpoint.spec.policy}'; expected {NAME}")
    told = checkpoint.config
    config = EncoderConfig.from_dict({k: v for k, v in told.items() if k not in SIGHT})
    sees = VinnConfig.from_dict({key: told.get(key) for key in SIGHT})
    size = checkpoint.spec.image_size
    sight = None if size is None else sees.sight(len(checkpoint.spec.cameras), size)
    weights: dict[str, dict[str, Tensor]] = {camera: {} for camera in checkpoint.spec.cameras}
    for name, value in checkpoint.weights.items():
        camera, _, inner = name.partition(".")
        if camera not in weights:
            raise PolicyError(f"{source}: weights of {camera}, which is none of its cameras")
        weights[camera][inner] = value
    return Trained(config, weights, size if sight is None else sight.size)

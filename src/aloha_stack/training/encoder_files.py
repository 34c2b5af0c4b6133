"""Weights of encoders from files: torchvision's, and those that BYOL trained."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from aloha_stack.policies.import_original import read_state
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.resnet import torchvision_weights

SAFE = ".safetensors"


def read_torchvision(file: Path) -> dict[str, Tensor]:
    """A ResNet's weights without its head, of a .safetensors file or of a .pth, of which only
    tensors are read. Raises PolicyError."""
    if file.suffix != SAFE:
        return torchvision_weights(read_state(file))
    try:
        return torchvision_weights(load_file(file))
    except (OSError, SafetensorError) as error:
        raise PolicyError(f"{file} cannot be read: {error}") from error

"""The sizes of an ACT network; the defaults are the paper's.

Source: Zhao et al. 2023 (arXiv 2304.13705), tonyzhaozh/act.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from aloha_stack.policies.config import LARGEST, Checked, finite, size, tuples, whole
from aloha_stack.policies.normalisation import IMAGENET_MEAN, IMAGENET_STD
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.sight import Crops, Sight, Size, chosen, crops_of
from aloha_stack.policies.transformer import ACTIVATIONS

RESNET18, LIGHT = "resnet18", "light"
_AT_LEAST_ZERO = ("encoder_layers", "cvae_layers", "keypoints")
_FEW = 100
_AT_MOST_FEW = frozenset(
    ("cameras", "encoder_layers", "decoder_layers", "cvae_layers", "blocks", "stem_kernel")
)
"""Beyond that a size is damage, which would take all memory before any weight is compared."""


@dataclass(frozen=True)
class ActConfig(Checked):
    """Raises PolicyError, which names the key, for sizes that cannot be.

    The paper's network has 83.92 million parameters as tonyzhaozh/act counts them (trainable
    ones; its padding head, which no loss ever trains, is left out here: 513 of them).
    """

    cameras: int = 4
    state_dim: int = 14
    action_dim: int = 14
    chunk: int = 100

    hidden: int = 512  # numbers a token
    heads: int = 8
    feedforward: int = 3200
    encoder_layers: int = 4
    decoder_layers: int = 7
    first_layer_only: bool = False  # compatibility: the output is the first decoder layer's
    dropout: float = 0.1
    activation: str = "relu"
    pre_norm: bool = False
    camera_embedding: bool = False  # a learned number vector for each camera, added to positions

    cvae: bool = True
    cvae_layers: int = 4
    latent: int = 32

    backbone: str = RESNET18
    stages: tuple[int, ...] = (48, 96, 192)  # channels of the light backbone's stages
    blocks: int = 1  # a stage
    stem_kernel: int = 8
    stem_stride: int = 4
    norm_groups: int = 8
    keypoints: int = 0  # points a camera in a token of their own (policies/keypoints.py); 0: none

    crop: Crops | None = None  # top, left, height, width of what is seen, px; or one a camera
    seen: Size | None = None  # height, width at which these parts are seen, px; None: as they are
    image_mean: tuple[tuple[float, ...], ...] = (IMAGENET_MEAN,)  # of all cameras, or of each
    image_std: tuple[tuple[float, ...], ...] = (IMAGENET_STD,)

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check_type(field.name, getattr(self, field.name), field.default)
        self.need(self.hidden % self.heads == 0, "hidden", f"a multiple of heads ({self.heads})")
        self.need(self.hidden % 4 == 0, "hidden", "a multiple of 4, for sines and cosines")
        self.need(0 <= self.dropout < 1, "dropout", "0 … 1")
        self.need(self.activation in ACTIVATIONS, "activation", " or ".join(ACTIVATIONS))
        self.need(self.backbone in (RESNET18, LIGHT), "backbone", f"{RESNET18} or {LIGHT}")
        grouped = all(size(n) and n % self.norm_groups == 0 for n in self.stages)
        self.need(
            0 < len(self.stages) <= _FEW and grouped,
            "stages",
            f"channels, each a multiple of norm_groups ({self.norm_groups})",
        )
        self.need(self.stem_kernel >= self.stem_stride, "stem_kernel", "at least stem_stride")
        try:
            crops_of(self.crop, self.cameras)
        except ValueError as error:
            raise PolicyError(str(error)) from error
        seen = self.seen is None or (len(self.seen) == 2 and all(map(whole, self.seen)))
        self.need(seen, "seen", "height and width in px")
        for name in ("image_mean", "image_std"):
            rows = getattr(self, name)
            self.need(
                len(rows) in (1, self.cameras)
                and all(
                    isinstance(row, tuple) and len(row) == 3 and all(map(finite, row))
                    for row in rows
                ),
                name,
                f"three numbers for all cameras, or for each of {self.cameras}",
            )
        self.need(all(value > 0 for row in self.image_std for value in row), "image_std", "above 0")

    def sight(self, picture: Size) -> Sight | None:
        """What is seen of pictures of that size; None: all of it. Raises ValueError."""
        return chosen(self.crop, self.seen, self.cameras, picture)

    def _check_type(self, name: str, value: Any, default: Any) -> None:
        if isinstance(default, bool):
            self.need(isinstance(value, bool), name, "true or false")
        elif isinstance(default, int):
            least = 0 if name in _AT_LEAST_ZERO else 1
            most = _FEW if name in _AT_MOST_FEW else LARGEST
            fits = whole(value, least) and value <= most
            self.need(fits, name, f"a whole number from {least} to {most}")
        elif isinstance(default, float):
            self.need(finite(value), name, "a number")
        elif isinstance(default, str):
            self.need(isinstance(value, str), name, "a name")
        else:
            self.need(isinstance(value, tuple) or value is default, name, "a list")

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "ActConfig":
        """The reverse; what is not said is the paper's. Raises PolicyError."""
        known = [field.name for field in fields(ActConfig)]
        unknown = [key for key in data if key not in known]
        if unknown:
            raise PolicyError(f"config: unknown: {', '.join(unknown)}; it has {', '.join(known)}")
        return ActConfig(**{key: tuples(value) for key, value in data.items()})

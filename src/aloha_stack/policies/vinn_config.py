"""What a VINN is told: what it sees with, how near is judged, how many neighbours act, how far."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from aloha_stack.policies.config import Checked, tuples, whole
from aloha_stack.policies.encoders import EncoderConfig, Grid
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.sight import Crops, Sight, Size, chosen

JOINTS_ALONE = "joints"
"""The features of a VINN that sees nothing."""


@dataclass(frozen=True)
class VinnConfig(Checked):
    """Raises PolicyError, which names the key.

    Distances are those of embeddings (root mean square 1 from their mean, for each camera) plus
    `joint_weight` times those of joints (rad, grippers 0 … 1); weights are
    softmax(-distance / temperature).
    """

    features: str = JOINTS_ALONE  # where the encoder is from, for people
    encoder: EncoderConfig | None = None  # None: joints alone
    grid: Grid = (1, 1)  # rows and columns of means of the encoder's maps
    dims: int | None = None  # of each camera's embedding, principal components; None: all numbers
    crop: Crops | None = None  # top, left, height, width of what is seen, px; or one a camera
    seen: Size | None = None  # height, width at which these parts are seen, px; None: as they are
    neighbours: int = 1
    apart: bool = False  # at most one neighbour of an episode
    joint_weight: float = 10.0
    temperature: float = 1.0
    chunk: int = 100  # actions of a neighbour
    every: int = 1  # steps for which the neighbours that were found are followed
    blend: int = 10  # steps in which new neighbours take over from those before
    usual: float | None = None  # distance that 99 % of validation observations are within
    index: Mapping[str, Any] = field(default_factory=dict)  # policies/vinn_index.py

    def __post_init__(self) -> None:
        for name in ("neighbours", "chunk", "every"):
            self.need(whole(getattr(self, name), 1), name, "a whole number from 1")
        self.need(whole(self.blend, 0), "blend", "a whole number from 0")
        self.need(self.dims is None or whole(self.dims, 1), "dims", "a whole number from 1")
        self.need(isinstance(self.apart, bool), "apart", "true or false")
        self.need(self.every <= self.chunk, "every", f"at most chunk ({self.chunk})")
        grid = self.grid
        is_grid = isinstance(grid, tuple) and len(grid) == 2 and all(whole(n, 1) for n in grid)
        self.need(is_grid, "grid", "rows and columns")
        self.need(_number(self.joint_weight, 0), "joint_weight", "a number from 0")
        self.need(_number(self.temperature, 1e-6), "temperature", "a number above 0")
        self.need(isinstance(self.index, Mapping), "index", "what the index is made of")
        if self.encoder is None:
            self.need(self.joint_weight > 0, "joint_weight", "above 0, where joints are all")

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "VinnConfig":
        """The reverse. Raises PolicyError."""
        known = [one.name for one in fields(VinnConfig)]
        unknown = [key for key in data if key not in known]
        if unknown:
            raise PolicyError(f"{unknown[0]}: unknown; expected one of {', '.join(known)}")
        values: dict[str, Any] = {key: tuples(value) for key, value in data.items()}
        encoder = values.get("encoder")
        if isinstance(encoder, Mapping):
            values["encoder"] = EncoderConfig.from_dict(encoder)
        return VinnConfig(**values)

    def sight(self, cameras: int, picture: Size) -> Sight | None:
        """What is seen of pictures of that size; None: all of it. Raises PolicyError."""
        try:
            return chosen(self.crop, self.seen, cameras, picture)
        except ValueError as error:
            raise PolicyError(str(error)) from error

    def told(self, name: str, value: str) -> "VinnConfig":
        """The same with one of the numbers that may be chosen at a rollout. Raises PolicyError."""
        kinds: dict[str, type[int] | type[float]] = {
            "neighbours": int,
            "chunk": int,
            "every": int,
            "blend": int,
            "joint_weight": float,
            "temperature": float,
        }
        if name not in kinds:
            raise PolicyError(f"no option '{name}'; there are {', '.join(kinds)}")
        try:
            number: Any = kinds[name](value)
        except ValueError:
            raise PolicyError(f"{name}: expected a number, found '{value}'") from None
        return replace(self, **{name: number})


def _number(number: Any, least: float) -> bool:
    return (
        isinstance(number, int | float) and not isinstance(number, bool) and least <= number < 1e9
    )

"""What every recurrent network's sizes have in common, and how they come from a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from aloha_stack.policies.config import LARGEST, Checked, finite, size, tuples
from aloha_stack.policies.policy import PolicyError
from aloha_stack.robot.joints import JOINTS, SIDES

Config = TypeVar("Config", bound="RecurrentConfig")


@dataclass(frozen=True)
class RecurrentConfig(Checked):
    """Raises PolicyError, which names the key, for sizes that cannot be."""

    joints: int = 7  # that go in and that are predicted
    image_size: tuple[int, int] = (64, 64)  # height, width of what the network sees, px
    crop: tuple[int, int, int, int] | None = None  # top, left, height, width of that in a picture
    arms: tuple[str, ...] = ("right",)  # whose joints those are; (): all that the state has
    value_range: tuple[float, float] = (0.0, 1.0)  # of joints and colours in the network's units
    bgr: bool = False  # the order of colours that it was trained on

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check_type(field.name, getattr(self, field.name), field.default)
        seen = self.image_size
        self.need(len(seen) == 2 and all(map(size, seen)), "image_size", "height and width, px")
        known = all(arm in SIDES for arm in self.arms) and len(set(self.arms)) == len(self.arms)
        self.need(known, "arms", f"of {', '.join(SIDES)}, each once")
        fits = not self.arms or self.joints == len(self.arms) * len(JOINTS)
        self.need(fits, "joints", f"{len(JOINTS)} for each of the arms {', '.join(self.arms)}")
        if self.crop is not None:
            inside = len(self.crop) == 4 and all(isinstance(px, int) for px in self.crop)
            inside = inside and min(self.crop[:2]) >= 0 and self.crop[2:] == seen
            self.need(inside, "crop", "top, left and the image_size's height and width, px")
        low_high = self.value_range
        ordered = len(low_high) == 2 and all(map(finite, low_high)) and low_high[0] < low_high[1]
        self.need(ordered, "value_range", "two numbers, the lower one first")

    @classmethod
    def from_dict(cls: type[Config], data: Mapping[str, Any]) -> Config:
        """The reverse; what is not said has its default. Raises PolicyError."""
        known = [field.name for field in fields(cls)]
        unknown = [key for key in data if key not in known]
        if unknown:
            raise PolicyError(f"config: unknown: {', '.join(unknown)}; it has {', '.join(known)}")
        return cls(**{key: tuples(value) for key, value in data.items()})

    def _check_type(self, name: str, value: Any, default: Any) -> None:
        if isinstance(default, bool):
            self.need(isinstance(value, bool), name, "true or false")
        elif isinstance(default, int):
            self.need(size(value), name, f"a whole number from 1 to {LARGEST}")
        elif isinstance(default, float):
            self.need(finite(value), name, "a number")
        elif isinstance(default, str):
            self.need(isinstance(value, str), name, "a name")
        else:
            self.need(isinstance(value, tuple) or value is default, name, "a list")

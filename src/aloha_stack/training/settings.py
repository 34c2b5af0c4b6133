"""What is read of episodes for learning."""

from dataclasses import dataclass, field

from aloha_stack.episodes.alignment import AlignmentSettings
from aloha_stack.episodes.commanders import COMMANDERS
from aloha_stack.episodes.joint_numbers import NAMES
from aloha_stack.episodes.quality import GOOD
from aloha_stack.episodes.scaled import Size
from aloha_stack.policies.sight import Crops, Sight, chosen

STATES = ("position", "velocity", "effort")
ACTIONS = ("executed", "leader")
LARGEST = 4096


@dataclass(frozen=True)
class ReadSettings:
    """Raises ValueError for what cannot be."""

    cameras: tuple[str, ...] | None = None  # None: those of the first episode
    image_size: Size | None = None  # (height, width); None: as recorded
    crop: Crops | None = None  # (top, left, height, width) px of that, of each camera; None: all
    seen: Size | None = None  # (height, width) at which these parts are seen; None: as they are
    state: tuple[str, ...] = ("position",)  # which of STATES, 14 numbers each
    action: str = "executed"  # the command as written to the wire, or what the "leader" asked for
    commanders: tuple[str, ...] = ("human", "policy")  # which of COMMANDERS gave the actions
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)
    allowed: tuple[str, ...] = (GOOD,)  # verdicts of the quality gate that may be learnt from
    verify: bool = True  # compare the checksums of all bytes, before anything is learnt from them

    def __post_init__(self) -> None:
        wrong = [name for name in self.state if name not in STATES]
        if wrong or not self.state or len(set(self.state)) != len(self.state):
            raise ValueError(f"state {self.state} has to name some of {', '.join(STATES)}, once")
        if self.action not in ACTIONS:
            raise ValueError(f"action {self.action!r} is none of {', '.join(ACTIONS)}")
        unknown = [name for name in self.commanders if name not in COMMANDERS]
        if unknown or not self.commanders or len(set(self.commanders)) != len(self.commanders):
            raise ValueError(
                f"commanders {', '.join(self.commanders) or '(none)'}: expected some of "
                f"{', '.join(COMMANDERS)}, each once"
            )
        if self.cameras is not None and len(set(self.cameras)) != len(self.cameras):
            raise ValueError(f"cameras {', '.join(self.cameras)} has one twice")
        if self.image_size is not None and not all(1 <= px <= LARGEST for px in self.image_size):
            raise ValueError(f"image_size {self.image_size} is outside 1 … {LARGEST} px")
        if self.crop is not None or self.seen is not None:
            if self.image_size is None:
                raise ValueError("crop is a part of image_size, which has to be given too")
            nested = bool(self.crop) and isinstance(self.crop[0], tuple)  # type: ignore[index]
            self.sight(len(self.cameras or (self.crop if nested else (None,))), self.image_size)  # type: ignore[arg-type]

    def sight(self, cameras: int, picture: Size) -> Sight | None:
        """What is seen of pictures of that size; None: all of it. Raises ValueError."""
        return chosen(self.crop, self.seen, cameras, picture)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Of the state's columns: joints, and for velocity and effort what of them."""
        return tuple(
            name if part == "position" else f"{name}_{part}"
            for part in self.state
            for name in NAMES
        )

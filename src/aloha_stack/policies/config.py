"""What all configurations of policies have in common: their checks, and their way to JSON."""

from dataclasses import asdict
from typing import Any

from aloha_stack.policies.policy import PolicyError


class Checked:
    """Base of frozen dataclasses."""

    def need(self, holds: bool, name: str, what: str) -> None:
        """Raises PolicyError for the key `name` unless `holds`."""
        if not holds:
            raise PolicyError(f"{name}: expected {what}, found {getattr(self, name)!r}")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]


def tuples(value: Any) -> Any:
    """Lists, as JSON and YAML have them, as tuples, inner ones too."""
    return tuple(map(tuples, value)) if isinstance(value, list | tuple) else value


LARGEST = 1 << 14
"""Of sizes: what is larger was not meant, and would fill the memory before anything is told."""


def whole(number: Any, least: int = 1) -> bool:
    """Whether it is a whole number from `least`."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= least


def size(number: Any) -> bool:
    """Whether it is a whole number that a layer can have of something."""
    return whole(number) and number <= LARGEST


def finite(number: Any) -> bool:
    """Whether it is a number, and none that stands for infinity."""
    return isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e9

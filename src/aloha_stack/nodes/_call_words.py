"""A message in words, on one line, as `./aloha call` prints it."""

from typing import Any

DECIMALS = 3
"""Of figures from 1 on; smaller ones have DIGITS."""
DIGITS = 6


def words(message: Any) -> str:
    """Its fields; "done" if it has none."""
    return "  ".join(_fields(message)) or "done"


def _fields(message: Any) -> list[str]:
    return [f"{name}: {_shown(getattr(message, name))}" for name in _names(message)]


def _names(message: Any) -> list[str]:
    return list(message.get_fields_and_field_types())


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return str(round(value, DECIMALS) if abs(value) >= 1 else float(f"{value:.{DIGITS}g}"))
    if hasattr(value, "get_fields_and_field_types"):
        return "{" + ", ".join(_fields(value)) + "}"
    if hasattr(value, "tolist"):  # array.array, numpy
        value = value.tolist()
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value)

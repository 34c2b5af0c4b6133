"""What a check found, and how to mend it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

OK, WARN, RED = "ok", "warn", "RED"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's. `level`: ok, warn (it works, but …), RED (it will not work)."""

    level: str
    subject: str
    text: str
    mend: str = ""

    def __str__(self) -> str:
        mend = f"\n{'':5}→ {self.mend}" if self.mend else ""
        return f"{self.level:<4} {self.subject}: {self.text}{mend}"


Check = Callable[[], Iterator[Finding]]
"""Looks at one thing; its findings come as they are made."""

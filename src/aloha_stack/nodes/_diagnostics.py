"""Statuses on /diagnostics, as this project's nodes write them."""

import math
from collections.abc import Iterable

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
Finding = tuple[bytes, str]
"""A level, and what was found in words."""


def status(
    name: str, hardware_id: str, findings: Iterable[Finding], values: dict[str, str]
) -> DiagnosticStatus:
    """One status: as bad as the worst of the findings, and all is well where there are none."""
    found = list(findings)
    return DiagnosticStatus(
        name=name,
        hardware_id=hardware_id,
        level=max((level for level, _ in found), default=OK),
        message="; ".join(words for _, words in found) or "all is well",
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "unknown"


def word(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"

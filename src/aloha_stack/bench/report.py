"""What a bench found: rows beside their peer or limit, for people as a table, for programs as JSON.

    {"bench": NAME, "machine": {...}, "rows": [{"metric", "value", "unit", "peer", "peer_value",
     "ratio", "bar", "holds"}]}

null stands where something does not apply. `bar` is what must hold, in words that name what it is
about ("ratio >= 0.92", "value <= 12"); `holds` says whether it does, and is null without a bar.
"""

import json
import math
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aloha_stack.episodes.tables import Column, table

PASSED, FAILED, USAGE_ERROR = 0, 1, 2

NO_TORCH = (
    "torch is not installed; to add its CPU build: ./aloha python -m pip install --no-deps "
    "-r requirements/torch.txt"
)

BUSY = 0.4
"""Load average per core beyond which something else counts."""


def at_fault(bench: str, text: str) -> int:
    """Tells why nothing was measured; the exit status for it."""
    print(f"aloha bench {bench}: {text}", file=sys.stderr)
    return USAGE_ERROR


def percentile(values: np.ndarray, percent: float) -> float | None:
    """None of nothing."""
    return float(np.percentile(values, percent)) if len(values) else None


@dataclass(frozen=True)
class Bar:
    """What a row must reach: its `value`, or its `ratio` to the peer, on one side of `limit`."""

    about: Literal["value", "ratio"]
    sense: Literal[">=", "<="]
    limit: float

    def __str__(self) -> str:
        return f"{self.about} {self.sense} {self.limit:g}"

    def holds(self, value: float | None, ratio: float | None) -> bool:
        """What was not measured reaches no bar."""
        measured = value if self.about == "value" else ratio
        if measured is None or math.isnan(measured):
            return False
        return measured >= self.limit if self.sense == ">=" else measured <= self.limit


@dataclass(frozen=True)
class Row:
    """One figure. `value` and `peer_value` are in `unit`; the ratio is value / peer value."""

    metric: str
    value: float | None
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    bar: Bar | None = None

    @property
    def ratio(self) -> float | None:
        if self.value is None or not self.peer_value:
            return None
        return self.value / self.peer_value

    @property
    def holds(self) -> bool | None:
        return None if self.bar is None else self.bar.holds(self.value, self.ratio)

    def as_json(self) -> dict[str, Any]:
        """The row in the form of the head of this file; what is not finite becomes null."""
        row: dict[str, Any] = asdict(self)
        row |= {"ratio": self.ratio, "bar": None if self.bar is None else str(self.bar)}
        row = {key: _finite(value) for key, value in row.items()} | {"holds": self.holds}
        order = ("metric", "value", "unit", "peer", "peer_value", "ratio", "bar", "holds")
        return {key: row[key] for key in order}


@dataclass(frozen=True)
class Report:
    """A bench's rows, and the machine that they were measured on."""

    bench: str
    rows: Sequence[Row]
    machine: dict[str, Any]

    @property
    def status(self) -> int:
        """The exit status: 0 if whatever has a bar reaches it, else 1."""
        return FAILED if any(row.holds is False for row in self.rows) else PASSED

    def as_json(self) -> dict[str, Any]:
        rows = [row.as_json() for row in self.rows]
        return {"bench": self.bench, "machine": self.machine, "rows": rows}

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_json(), indent=1, ensure_ascii=False) + "\n")

    def table(self) -> str:
        """For people: one line a row, and what does not hold once more at the end."""
        columns = (
            Column("metric"),
            Column("value", right=True),
            Column("unit"),
            Column("peer"),
            Column("its value", right=True),
            Column("ratio", right=True),
            Column("bar"),
            Column("holds"),
        )
        lines = [
            [
                row.metric,
                _number(row.value),
                row.unit,
                row.peer or "",
                _number(row.peer_value),
                _number(row.ratio),
                "" if row.bar is None else str(row.bar),
                {True: "yes", False: "NO", None: ""}[row.holds],
            ]
            for row in self.rows
        ]
        missed = [row.metric for row in self.rows if row.holds is False]
        end = f"does not hold: {'; '.join(missed)}" if missed else "all bars hold"
        return f"{table(columns, lines)}\n{end}"


def machine() -> dict[str, Any]:
    """What the figures were measured on: cores for this process, CPU, Python, kernel, load."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu_model(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load_average": list(os.getloadavg()),
    }


def busy(found: dict[str, Any]) -> str:
    """A warning, if there was a load on the machine before the bench began; else empty."""
    load, cores = found["load_average"][0], found["cores"]
    if load < BUSY * cores:
        return ""
    return (
        f"this machine is busy (load {load:.1f} on {cores} cores): the figures are those of a "
        "busy machine; end what else is running, and start again"
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.4g}"

"""The operator's panel opens, is looked at, hangs, goes on and closes: when that was, at what cost.

    python -m aloha_stack.bench.gui_life BEGIN OUT SECONDS

Waits for the file BEGIN, lives through the phases, and writes them to OUT as JSON. The panel is a
process of its own, without a screen; SIGSTOP makes it hang.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ALONE, OPENING, SHOWN, HUNG, AWAKE, CLOSING = (
    "alone",
    "opening",
    "shown",
    "hung",
    "awake",
    "closing",
)
PHASES = (ALONE, OPENING, SHOWN, HUNG, AWAKE, CLOSING)

LOOK_S, OPEN_S, SETTLE_S, AWAKE_S, CLOSE_S = 0.05, 60.0, 2.0, 3.0, 10.0
"""Between two looks; within which the panel must show something; until what it cost at the start
no longer counts; how long it is watched after it hung; in which it must end."""


def main(begin: Path, out: Path, seconds: float) -> int:
    """The process."""
    while not begin.exists():
        time.sleep(LOOK_S)
    phases: list[dict[str, Any]] = []
    figures = out.with_suffix(".figures")
    panel: psutil.Popen | None = None

    def live(name: str, work: Callable[[], object]) -> None:
        cpu_s, began_ns = _cpu_s(panel), time.time_ns()
        work()
        ended_ns = time.time_ns()
        used_s = _cpu_s(panel) - cpu_s
        phases.append({"name": name, "begin_ns": began_ns, "end_ns": ended_ns, "cpu_s": used_s})

    def still(length_s: float) -> Callable[[], object]:
        return lambda: time.sleep(length_s)

    live(ALONE, still(seconds))
    command = [sys.executable, "-m", "aloha_stack.cli", "panel", "--robot", "aloha"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    panel = psutil.Popen(
        [*command, "--figures", str(figures)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        live(OPENING, lambda: _wait(figures.exists, OPEN_S))
        time.sleep(SETTLE_S)
        live(SHOWN, still(seconds))
        panel.send_signal(signal.SIGSTOP)
        live(HUNG, still(seconds))
        panel.send_signal(signal.SIGCONT)
        live(AWAKE, still(AWAKE_S))
        panel.send_signal(signal.SIGINT)
        live(CLOSING, lambda: panel.wait(CLOSE_S))
    finally:
        if panel.poll() is None:
            panel.kill()
            panel.wait()
    found = {"phases": phases, "figures": [json.loads(x) for x in figures.read_text().splitlines()]}
    unfinished = out.with_suffix(".part")
    unfinished.write_text(json.dumps(found))
    unfinished.rename(out)
    return 0


def _wait(condition: Callable[[], bool], limit_s: float) -> None:
    end_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError(f"the panel showed nothing within {limit_s:g} s")
        time.sleep(LOOK_S)


def _cpu_s(process: psutil.Popen | None) -> float:
    """Zero for one that is not there (any more)."""
    if process is None or process.poll() is not None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))

"""The graph of `./aloha bench gui`: cameras, a policy, chunk_player, one arm's bridge, the panel.

All are those of the stack; the other arms and the safety node are stood in for by nodes/bench_loop,
and the bridge's servos by an emulator on a pseudo-terminal at the wire time of 1 Mbaud.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from aloha_stack.bench.emulator import Emulator, bench_robot
from aloha_stack.bench.gui_life import PHASES
from aloha_stack.bench.images_graph import Show
from aloha_stack.bench.loop_graph import ARMS, CAMERA, EMPTY, EMPTY_LOOP, PLAYER, POLICY
from aloha_stack.bench.loop_ticks import RATE_HZ, Ticks, ticks
from aloha_stack.bench.node_processes import BenchFailed, events, running
from aloha_stack.bench.record_graph import QUALITY
from aloha_stack.robot.share import share_folder

ARM = "leader_left"
"""Whose bridge is a real one: a leader's reads at 100 Hz and needs nobody's commands."""

BRIDGE, LIFE = "bridge", "panel's life"
SPARE_S = 60.0
"""Steady time for opening, closing and going on, besides the phases that are measured."""
AWAKE_NS = 10**9
"""After this time the view of a panel that slept is a new one."""


@dataclass(frozen=True)
class Phase:
    """What came of one phase; figures of the panel where it was heard, else NaN."""

    player: Ticks
    empty: Ticks
    seconds: float
    cpu_percent: float  # of the panel, of one core
    previews_hz: float  # of all cameras together
    bridge_late: float  # cycles of the bridge that came late by a whole period or more
    bridge_hz: float


def measure(seconds: float, checkpoint: Path, pictures: Path, folder: Path, show: Show) -> Any:
    """The phases by name."""
    ports = folder / "ports"
    ports.mkdir()
    whole, rest = _robots(folder, pictures, ports)
    parameters = ["--ros-args", "-p", f"robot:={whole}"]
    heard, woke, begin, life = (folder / name for name in ("heard.npy", "woke", "begin", "life"))
    length_s = 3 * seconds + SPARE_S
    commands = {
        CAMERA: ["aloha_stack.nodes.camera", *parameters],
        POLICY: ["aloha_stack.nodes.policy", *parameters, "-p", f"checkpoint:={checkpoint}"],
        PLAYER: ["aloha_stack.nodes.chunk_player", *parameters],
        BRIDGE: [
            *("aloha_stack.nodes.arm_bridge", *parameters),
            *("-r", f"__ns:=/{ARM}", "-p", f"arm:={ARM}"),
        ],
        ARMS: [
            *("aloha_stack.nodes.bench_loop", "--robot", rest),
            *("--seconds", str(length_s), "--out", str(heard)),
        ],
        EMPTY: [EMPTY_LOOP, str(woke), str(RATE_HZ)],
        LIFE: ["aloha_stack.bench.gui_life", str(begin), str(life), str(seconds)],
    }
    with (
        Emulator(ports, bench_robot(ports).arm(ARM)),
        running(commands, ARMS, folder) as processes,
    ):
        show("starting", None)
        began_s = 0.0
        for event in events(processes, ARMS, folder):
            if event and event["event"] == "began":
                began_s = time.monotonic()
                begin.touch()
            elif event:
                break
            elif began_s:
                show("the panel's life", (time.monotonic() - began_s) / length_s)
    if not life.exists():
        raise BenchFailed(f"the panel's life took longer than {length_s:g} s")
    return _phases(json.loads(life.read_text()), np.load(heard)[:, 0], np.fromfile(woke, np.int64))


def _phases(life: dict[str, Any], ticked: np.ndarray, empty: np.ndarray) -> dict[str, Phase]:
    found = {}
    for one in life["phases"]:
        begin_ns, end_ns = one["begin_ns"], one["end_ns"]
        length_s = (end_ns - begin_ns) * 1e-9

        def within(moments: np.ndarray, b: int = begin_ns, e: int = end_ns) -> Ticks:
            return ticks(moments[(b <= moments) & (moments <= e)])

        figures = life["figures"]
        first, last = _ends(figures, begin_ns, end_ns)
        passed_s = (last["time_ns"] - first["time_ns"]) * 1e-9 or np.nan
        late = cycles_hz = np.nan
        if bridged := [one for one in figures if ARM in one["cycles"]]:
            before, after = _ends(bridged, begin_ns, end_ns)
            late = after["overruns"][ARM] - before["overruns"][ARM]
            bridged_s = (after["time_ns"] - before["time_ns"]) * 1e-9 or np.nan
            cycles_hz = (after["cycles"][ARM] - before["cycles"][ARM]) / bridged_s
        found[one["name"]] = Phase(
            within(ticked),
            within(empty),
            length_s,
            100 * one["cpu_s"] / length_s,
            (last["pictures"] - first["pictures"]) / passed_s,
            late,
            cycles_hz,
        )
    assert set(found) == set(PHASES)
    return found


def _ends(
    figures: list[dict[str, Any]], begin_ns: int, end_ns: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The panel's first and last figures of a phase. Where it slept: its last ones before, and the
    first ones after that are of a view made since; the bridge counts by itself and misses nothing.
    """
    within = [one for one in figures if begin_ns <= one["time_ns"] <= end_ns]
    if len(within) > 1:
        return within[0], within[-1]
    before = [one for one in figures if one["time_ns"] <= begin_ns] or figures[:1]
    after = [one for one in figures if one["time_ns"] >= end_ns + AWAKE_NS] or figures[-1:]
    return before[-1], after[0]


def _robots(folder: Path, pictures: Path, ports: Path) -> tuple[str, str]:
    """Robot files: `aloha` with those pictures and the emulated arm; the same without that arm."""
    values = yaml.safe_load((share_folder() / "config/robots/aloha.yaml").read_text())
    for camera in values["cameras"].values():
        camera |= {"source": f"file:{pictures}", "jpeg_quality": QUALITY}
    values["arms"][ARM]["port"] = bench_robot(ports).arm(ARM).port
    whole, rest = folder / "aloha.yaml", folder / "rest.yaml"
    whole.write_text(yaml.safe_dump(values))
    for section in ("arms", "mounts"):
        del values[section][ARM]
    rest.write_text(yaml.safe_dump(values))
    return str(whole), str(rest)

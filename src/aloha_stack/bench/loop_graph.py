"""The graph of `./aloha bench loop`: cameras, policy and chunk_player, each a process of its own.

All three are those of the stack, started as rollout.launch.xml starts them; the arms' bridges and
the safety node are stood in for by one process, nodes/bench_loop.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from aloha_stack.bench.images_graph import Show
from aloha_stack.bench.loop_ticks import RATE_HZ, Ticks, ticks
from aloha_stack.bench.node_processes import Processes, events, running
from aloha_stack.bench.record_graph import robot_file

CAMERA, POLICY, PLAYER = "camera node", "policy", "chunk_player"
ARMS, EMPTY = "arms", "empty loop"
EMPTY_LOOP = "aloha_stack.bench.loop_empty"


@dataclass(frozen=True)
class Outcome:
    """What came of the rollout; `empty` is the loop beside it, at the very same time."""

    player: Ticks
    empty: Ticks
    heard_ms: np.ndarray  # (n,) from a tick's beginning to its command in another process
    told: dict[str, Any]  # by nodes/bench_loop
    cpu_percent: dict[str, float]  # of one core


def measure_alone(seconds: float, folder: Path) -> Ticks:
    """An empty loop while nothing else of ours runs."""
    out = folder / "alone"
    command = [sys.executable, "-m", EMPTY_LOOP, str(out), str(RATE_HZ), str(seconds)]
    subprocess.run(command, check=True)
    return ticks(np.fromfile(out, np.int64))


def measure(seconds: float, checkpoint: Path, pictures: Path, folder: Path, show: Show) -> Outcome:
    """A rollout of so many seconds; `folder` takes what the processes write."""
    robot = robot_file(folder / "aloha.yaml", pictures)
    parameters = ["--ros-args", "-p", f"robot:={robot}"]
    heard, woke = folder / "heard.npy", folder / "woke"
    commands = {
        CAMERA: ["aloha_stack.nodes.camera", *parameters],
        POLICY: ["aloha_stack.nodes.policy", *parameters, "-p", f"checkpoint:={checkpoint}"],
        PLAYER: ["aloha_stack.nodes.chunk_player", *parameters],
        ARMS: [
            *("aloha_stack.nodes.bench_loop", "--robot", robot),
            *("--seconds", str(seconds), "--out", str(heard)),
        ],
        EMPTY: [EMPTY_LOOP, str(woke), str(RATE_HZ)],
    }
    with running(commands, ARMS, folder) as processes:
        show("loading the policy", None)
        told, cpu_percent = _follow(seconds, processes, folder, show)
    notes = np.load(heard)
    empty = np.fromfile(woke, np.int64)
    within = (notes[0, 0] <= empty) & (empty <= notes[-1, 0])
    delays_ms = (notes[:, 1] - notes[:, 0]) * 1e-6
    return Outcome(ticks(notes[:, 0]), ticks(empty[within]), delays_ms, told, cpu_percent)


def _follow(
    seconds: float, processes: Processes, work: Path, show: Show
) -> tuple[dict[str, Any], dict[str, float]]:
    """From the arms' `began` to their `ended`: what was told, and the CPU time meanwhile."""
    nodes = {name: psutil.Process(one.pid) for name, one in processes.items()}
    before: dict[str, float] = {}
    began_s = 0.0
    for event in events(processes, ARMS, work):
        if not event:
            if before:
                show(f"{seconds:g} s of ticks", (time.monotonic() - began_s) / seconds)
        elif event["event"] == "began":
            before, began_s = _cpu_s(nodes), time.monotonic()
        else:
            passed_s = time.monotonic() - began_s
            after = _cpu_s(nodes)
            return event, {n: 100 * (after[n] - before[n]) / passed_s for n in nodes}
    raise AssertionError("the arms' events end with `ended`")


def _cpu_s(nodes: dict[str, psutil.Process]) -> dict[str, float]:
    times = {name: node.cpu_times() for name, node in nodes.items()}
    return {name: one.user + one.system for name, one in times.items()}

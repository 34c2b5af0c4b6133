"""The graph of `./aloha bench record`: a robot's streams, its cameras and the recorder.

The camera node and the recorder are those of the stack. The four arm bridges and all else that a
robot says of itself are stood in for by one process, nodes/bench_record.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from aloha_stack.bench.node_processes import BenchFailed, Processes, events, running
from aloha_stack.bench.record_losses import Counted, counted
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import EpisodeSummary, summarise
from aloha_stack.robot.description import Robot, load_robot
from aloha_stack.robot.share import share_folder

RECORDER, CAMERA, ROBOT = "recorder", "camera node", "robot's streams"
QUALITY = 92

Show = Callable[[str, float | None], None]
"""Tells what is being done, and which part of it is done (0 … 1), if that is known."""


@dataclass(frozen=True)
class Closing:
    """Seconds from asking for the end until the recorder answers that the episode is closed; then
    for its row with the verdict; for the whole command `episodes list` after that; and for the row
    once more, from the file itself. `same` tells whether both rows are alike in every figure."""

    stop_s: float
    row_s: float
    command_s: float
    reading_s: float
    same: bool


@dataclass(frozen=True)
class Outcome:
    """What came of the recording."""

    closing: Closing
    summary: EpisodeSummary
    told_messages: int  # by the recorder
    told_lost: int
    file: Counted
    file_bytes: int
    raw_bytes: int  # of the same steps as raw ALOHA HDF5
    resident_mb: np.ndarray  # (n,) of the recorder, evenly over the recording
    cpu_percent: dict[str, float]  # of one core


def measure(seconds: float, pictures: Path, folder: Path, show: Show) -> Outcome:
    """Records one episode of so many seconds into `folder`, which stays its caller's to remove."""
    file = robot_file(folder / "aloha.yaml", pictures)
    robot = load_robot(file)
    parameters = ["--ros-args", "-p", f"robot:={file}"]
    commands = {
        CAMERA: ["aloha_stack.nodes.camera", *parameters],
        RECORDER: ["aloha_stack.nodes.recorder", *parameters, "-p", f"directory:={folder / 'out'}"],
        ROBOT: [
            *("aloha_stack.nodes.bench_record", "--robot", file),
            *("--seconds", str(seconds)),
        ],
    }
    with running(commands, ROBOT, folder) as processes:
        show("starting", None)
        watched = _Watched(processes)
        told = _follow(seconds, processes, folder, watched, show)
        path = Path(told["path"])
        began_s = time.monotonic()
        summary = summarise(Episode(path))
        row_s = time.monotonic() - began_s
        command_s = _listed(path.parent)
    show("reading", None)
    began_s = time.monotonic()
    read = summarise(Episode(path, recompute=True))
    reading_s = time.monotonic() - began_s
    show("counting", None)
    rates = {camera.topic: camera.rate_hz for camera in robot.cameras.values()}
    return Outcome(
        Closing(told["stop_s"], row_s, command_s, reading_s, read == summary),
        summary,
        told["messages"],
        told["lost"],
        counted(Episode(path).records(), rates, seconds),
        sum(file.stat().st_size for file in path.iterdir()),
        raw_hdf5_bytes(summary.steps, robot),
        np.array(watched.resident_mb),
        watched.cpu_percent(seconds),
    )


def raw_hdf5_bytes(steps: int, robot: Robot) -> int:
    """Of ALOHA's file: qpos, qvel, effort and action (T, 14) float64, and RGB pictures."""
    pictures = sum(3 * camera.width * camera.height for camera in robot.cameras.values())
    return steps * (4 * 14 * 8 + pictures)


class _Watched:
    """Memory of the recorder and CPU time of all, from `begin` on."""

    def __init__(self, processes: Processes) -> None:
        self._nodes = {name: psutil.Process(one.pid) for name, one in processes.items()}
        self._before: dict[str, float] = {}
        self._after: dict[str, float] = {}
        self.resident_mb: list[float] = []

    @property
    def begun(self) -> bool:
        return bool(self._before)

    def begin(self) -> None:
        self._before = self._cpu_s()

    def look(self) -> None:
        if self.begun:
            self._after = self._cpu_s()
            self.resident_mb.append(self._nodes[RECORDER].memory_info().rss / 1e6)

    def cpu_percent(self, seconds: float) -> dict[str, float]:
        return {
            name: 100 * (self._after[name] - before) / seconds
            for name, before in self._before.items()
        }

    def _cpu_s(self) -> dict[str, float]:
        times = {name: node.cpu_times() for name, node in self._nodes.items()}
        return {name: one.user + one.system for name, one in times.items()}


def _follow(
    seconds: float, processes: Processes, work: Path, watched: _Watched, show: Show
) -> dict[str, Any]:
    """From the robot's `began` to its `ended`, which is returned."""
    began_s = time.monotonic()
    for event in events(processes, ROBOT, work):
        if not event:
            watched.look()
            if watched.begun:
                elapsed_s = time.monotonic() - began_s
                show(f"recording {seconds:g} s", elapsed_s / seconds)
        elif event["event"] == "began":
            began_s = time.monotonic()
            watched.begin()
            watched.look()
        else:
            return event
    raise AssertionError("the robot's events end with `ended`")


def _listed(folder: Path) -> float:
    """Seconds that the command `episodes list` takes, with the start of Python."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "aloha_stack.cli", "episodes", "list", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"episodes list failed: {done.stderr[-800:]}")
    return time.monotonic() - began_s


def robot_file(path: Path, pictures: Path) -> str:
    """The robot `aloha`, whose four cameras show `pictures` at their own rates."""
    values = yaml.safe_load((share_folder() / "config/robots/aloha.yaml").read_text())
    for camera in values["cameras"].values():
        camera |= {"source": f"file:{pictures}", "jpeg_quality": QUALITY}
    path.write_text(yaml.safe_dump(values))
    return str(path)

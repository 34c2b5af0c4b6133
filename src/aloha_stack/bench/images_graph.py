"""The graph of `./aloha bench images`: cameras, recorder and a reader, each a process of its own.

The camera node and the recorder are those of the stack; the reader, and what stands in for them
where images are not compressed, are nodes/bench_images.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from aloha_stack.bench.image_log import Heard, read_log, recorded
from aloha_stack.bench.node_processes import END_S, Processes, events, running
from aloha_stack.episodes.reader import Episode
from aloha_stack.robot.share import share_folder

RATE_HZ = 50.0
CAMERAS = ("cam_high", "cam_low", "cam_left_wrist", "cam_right_wrist")
ARM = "leader_left"
"""A robot file needs an arm; this one's joints are told by the reader."""

RECORDER, READER, CAMERA = "recorder", "reader", "camera node"

Show = Callable[[str, float | None], None]
"""Tells what is being done, and which part of it is done (0 … 1), if that is known."""


@dataclass(frozen=True)
class Setting:
    """What is measured: JPEG or raw images, under the project's DDS profile or without one."""

    raw: bool
    profile: bool
    seconds: float

    def __str__(self) -> str:
        kind = "raw" if self.raw else "JPEG"
        return f"{kind}, {'config/fastdds.xml' if self.profile else 'Fast DDS defaults'}"


@dataclass(frozen=True)
class Outcome:
    """What the recorder and the reader got, and the CPU time of each process, % of one core."""

    recorder: Heard
    reader: Heard
    cpu_percent: dict[str, float]


def measure(setting: Setting, pictures: Path, folder: Path, show: Show) -> Outcome:
    """One graph from its start to its end; `folder` takes its episode, which is removed after."""
    work = Path(tempfile.mkdtemp(prefix="images_", dir=folder))
    try:
        commands = _commands(setting, pictures, work)
        with running(commands, READER, work, setting.profile) as processes:
            show(f"{setting}: starting", None)
            told, cpu_percent = _follow(setting, processes, work, show)
        show(f"{setting}: counting", None)
        reader = read_log(work / "reader.npz", RATE_HZ)
        if setting.raw:
            recorder = read_log(work / "recorder.npz", RATE_HZ)
        else:
            recorder = _episode(Path(told["path"]), setting.seconds)
        return Outcome(recorder, reader, cpu_percent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _follow(
    setting: Setting, processes: Processes, work: Path, show: Show
) -> tuple[dict[str, Any], dict[str, float]]:
    """From the reader's `began` to its `ended`: what it told, and the CPU time meanwhile."""
    nodes = {name: psutil.Process(one.pid) for name, one in processes.items()}
    before: dict[str, float] = {}
    cpu_s: dict[str, float] = {}
    began_s = time.monotonic()
    for event in events(processes, READER, work):
        cpu_s = {**cpu_s, **_cpu_s(nodes)}
        if not event:
            if before:
                elapsed_s = time.monotonic() - began_s
                show(f"{setting}: {setting.seconds:g} s", elapsed_s / setting.seconds)
        elif event["event"] == "began":
            before, began_s = cpu_s, time.monotonic()
        else:
            used = {name: cpu_s[name] - before[name] for name in nodes}
            percent = {name: 100 * used_s / setting.seconds for name, used_s in used.items()}
            if setting.raw:  # it has its own measure of the time
                processes[RECORDER].wait(setting.seconds + END_S)
            return event, percent
    raise AssertionError("the reader's events end with `ended`")


def _cpu_s(nodes: dict[str, psutil.Process]) -> dict[str, float]:
    """The CPU time of those that still run."""
    used = {}
    for name, node in nodes.items():
        with suppress(psutil.NoSuchProcess):  # the stand-in for the recorder ends when it is done
            times = node.cpu_times()
            used[name] = times.user + times.system
    return used


def _episode(path: Path, seconds: float) -> Heard:
    topics = {f"/{name}/image_raw/compressed" for name in CAMERAS}
    return recorded(Episode(path).records(topics), topics, RATE_HZ, seconds)


# ---- processes ----------------------------------------------------------------------------------


def _commands(setting: Setting, pictures: Path, work: Path) -> dict[str, list[str]]:
    """Module and arguments of each process."""
    from_files = _robot_file(work / "files.yaml", lambda _: f"file:{pictures}")
    bench = "aloha_stack.nodes.bench_images"
    seconds = ["--seconds", str(setting.seconds)]
    if setting.raw:
        heard = _robot_file(work / "raw.yaml", lambda name: f"topic:/{name}/image_raw")
        keep = ["--keep", "--out", str(work / "recorder.npz")]
        return {
            CAMERA: [bench, "publish", "--robot", from_files],
            RECORDER: [bench, "read", "--robot", heard, *keep, *seconds],
            READER: [bench, "read", "--robot", heard, "--out", str(work / "reader.npz"), *seconds],
        }
    robot = ["--ros-args", "-p", f"robot:={from_files}"]
    out = ["--out", str(work / "reader.npz")]
    return {
        CAMERA: ["aloha_stack.nodes.camera", *robot],
        RECORDER: ["aloha_stack.nodes.recorder", *robot, "-p", f"directory:={work / 'episodes'}"],
        READER: [bench, "read", "--robot", from_files, *out, "--record", *seconds],
    }


def _robot_file(path: Path, source: Callable[[str], str]) -> str:
    """A robot of one arm, with four cameras at 50 Hz whose sources are `source(name)`."""
    values = yaml.safe_load((share_folder() / "config/robots/aloha.yaml").read_text())
    values["arms"] = {ARM: values["arms"][ARM]}
    values["mounts"] = {ARM: values["mounts"][ARM]}
    size = {"width": 640, "height": 480, "rate_hz": RATE_HZ, "jpeg_quality": 92}
    values["cameras"] = {
        name: {"source": source(name), **size, "calibration": None} for name in CAMERAS
    }
    path.write_text(yaml.safe_dump(values))
    return str(path)

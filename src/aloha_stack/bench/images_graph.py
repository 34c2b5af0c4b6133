"""The graph of `./aloha bench images`: cameras, recorder and a reader, each a process of its own.

The camera node and the recorder are those of the stack; the reader, and what stands in for them
where images are not compressed, are nodes/bench_images.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from aloha_stack.bench.image_log import Heard, read_log, recorded
from aloha_stack.episodes.reader import Episode
from aloha_stack.graph import PROFILE, Domain
from aloha_stack.robot.share import share_folder

RATE_HZ = 50.0
CAMERAS = ("cam_high", "cam_low", "cam_left_wrist", "cam_right_wrist")
ARM = "leader_left"
"""A robot file needs an arm; this one's joints are told by the reader."""

END_S = 20.0
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


class BenchFailed(RuntimeError):
    """A process of the graph ended early; the message has its last words."""


def measure(setting: Setting, pictures: Path, folder: Path, show: Show) -> Outcome:
    """One graph from its start to its end; `folder` takes its episode, which is removed after."""
    work = Path(tempfile.mkdtemp(prefix="images_", dir=folder))
    try:
        with _processes(setting, pictures, work) as processes:
            show(f"{setting}: starting", None)
            told, cpu_percent = _follow(setting, processes, work, show)
        show(f"{setting}: counting", None)
        reader = read_log(work / "reader.npz", RATE_HZ)
        if setting.raw:
            recorder = read_log(work / "recorder.npz", RATE_HZ)
        else:
            recorder = _episode(Path(told["path"]))
        return Outcome(recorder, reader, cpu_percent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _follow(
    setting: Setting, processes: dict[str, subprocess.Popen[str]], work: Path, show: Show
) -> tuple[dict[str, Any], dict[str, float]]:
    """From the reader's `began` to its `ended`: what it told, and the CPU time meanwhile."""
    nodes = {name: psutil.Process(one.pid) for name, one in processes.items()}
    before: dict[str, float] = {}
    cpu_s: dict[str, float] = {}
    began_s = time.monotonic()
    for event in _events(setting, processes, work):
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


def _events(
    setting: Setting, processes: dict[str, subprocess.Popen[str]], work: Path
) -> Iterator[dict[str, Any]]:
    """What the reader tells, and meanwhile an empty event now and then.

    Raises BenchFailed if a process ends before the reader is done.
    """
    told = processes[READER].stdout
    assert told is not None
    while True:
        gone = [name for name, process in processes.items() if process.poll()]
        if gone:
            words = "; ".join(_last_words(work / f"{name}.log") for name in gone)
            raise BenchFailed(f"{setting}: {words}")
        if select.select([told], (), (), 0.2)[0]:
            line = told.readline()
            if not line:
                raise BenchFailed(f"{setting}: {_last_words(work / f'{READER}.log')}")
            yield json.loads(line)
        else:
            yield {}


def _cpu_s(nodes: dict[str, psutil.Process]) -> dict[str, float]:
    """The CPU time of those that still run."""
    used = {}
    for name, node in nodes.items():
        with suppress(psutil.NoSuchProcess):  # the stand-in for the recorder ends when it is done
            times = node.cpu_times()
            used[name] = times.user + times.system
    return used


def _episode(path: Path) -> Heard:
    episode = Episode(path)
    topics = set(episode.camera_topics.values())
    return recorded(episode.records(topics), RATE_HZ)


# ---- processes ----------------------------------------------------------------------------------


@contextmanager
def _processes(
    setting: Setting, pictures: Path, work: Path
) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """The processes by name, in a ROS domain of their own, until the block ends."""
    domain = Domain()
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(domain.number),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(work / "ros"),
        PROFILE: str(share_folder() / "config/fastdds.xml"),
    }
    if not setting.profile:
        del environment[PROFILE]
    processes: dict[str, subprocess.Popen[str]] = {}
    with ExitStack() as stack:
        stack.callback(domain.release)
        stack.callback(_end, processes)
        for name, command in _commands(setting, pictures, work).items():
            errors = stack.enter_context((work / f"{name}.log").open("wb"))
            processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if name == READER else errors,
                stderr=errors,
                text=True,
            )
        yield processes


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


def _end(processes: dict[str, subprocess.Popen[str]]) -> None:
    for process in processes.values():
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes.values():
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _last_words(log: Path) -> str:
    return f"the {log.stem} ended early: {log.read_text(errors='replace')[-800:]}"

"""What a whole bridge costs: the four arm_bridge processes, safety and teleop on emulated lines.

The nodes run as they do on a robot, on the machine's clock; teleop brings the followers to their
start pose and leads them from there, so that every follower has a stream of commands.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from aloha_stack.bench.bus_line import Show
from aloha_stack.bench.report import Row
from aloha_stack.graph import Domain
from aloha_stack.robot.description import Arm

READY_S = 12.0
"""For the bridges to configure their servos and take hold, and to be on their way."""
END_S = 30.0


def node_rows(folder: Path, arms: Sequence[Arm], seconds: float, show: Show) -> list[Row]:
    """The CPU time of each node over `seconds`, of one core."""
    with _nodes(folder, arms) as nodes:
        show("four bridges: starting", 0.0)
        _sleep(READY_S, "four bridges: starting", show)
        before = _cpu_s(nodes)
        began_s = time.monotonic()
        _sleep(seconds, "four bridges at work", show)
        after, elapsed_s = _cpu_s(nodes), time.monotonic() - began_s
    percent = {name: 100 * (after[name] - before[name]) / elapsed_s for name in nodes}
    bridges = [percent[arm.name] for arm in arms]
    return [
        Row("four whole bridge nodes: CPU, of one core", sum(bridges), "%"),
        Row("the costliest of them: CPU, of one core", max(bridges), "%"),
    ]


@contextmanager
def _nodes(folder: Path, arms: Sequence[Arm]) -> Iterator[dict[str, psutil.Process]]:
    """The nodes by name, in a ROS domain of their own, until the block ends."""
    domain = Domain()
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(domain.number),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ALOHA_PORTS": str(folder),
    }
    commands = {arm.name: _bridge(arm) for arm in arms}
    commands |= {"safety": _node("safety"), "teleop": _node("teleop")}
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with tempfile.TemporaryDirectory() as logs:
        environment["ROS_LOG_DIR"] = logs
        try:
            for name, command in commands.items():
                output = (Path(logs) / f"{name}.log").open("wb")
                processes[name] = subprocess.Popen(
                    command, env=environment, stdout=output, stderr=subprocess.STDOUT
                )
                output.close()
            yield {name: psutil.Process(process.pid) for name, process in processes.items()}
            for name, process in processes.items():
                if process.poll() is not None:
                    log = (Path(logs) / f"{name}.log").read_text(errors="replace")
                    raise RuntimeError(f"{name} ended with {process.returncode}:\n{log[-2000:]}")
        finally:
            _end([process for name, process in processes.items() if name != "safety"])
            _end(list(processes.values()))
            domain.release()


def _bridge(arm: Arm) -> list[str]:
    remap = ["-r", f"__ns:=/{arm.name}", "-p", f"arm:={arm.name}"]
    return _node("arm_bridge", *remap)


def _node(module: str, *arguments: str) -> list[str]:
    node = ["-m", f"aloha_stack.nodes.{module}", "--ros-args", "-p", "robot:=twin"]
    return [sys.executable, *node, *arguments]


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """As Ctrl-C ends them: the arms park first."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _cpu_s(nodes: dict[str, psutil.Process]) -> dict[str, float]:
    times = {name: node.cpu_times() for name, node in nodes.items()}
    return {name: one.user + one.system for name, one in times.items()}


def _sleep(seconds: float, what: str, show: Show) -> None:
    began_s = time.monotonic()
    while (elapsed_s := time.monotonic() - began_s) < seconds:
        show(what, elapsed_s / seconds)
        time.sleep(min(1.0, seconds - elapsed_s))

"""Nodes as processes of a bench, in a ROS domain of their own, one of which tells how it goes."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from aloha_stack.graph import PROFILE, Domain
from aloha_stack.robot.share import share_folder

END_S = 20.0

Processes = dict[str, subprocess.Popen[str]]


class BenchFailed(RuntimeError):
    """A process of the graph ended early; the message has its last words."""


@contextmanager
def running(
    commands: Mapping[str, Sequence[str]], speaker: str, work: Path, profile: bool = True
) -> Iterator[Processes]:
    """Starts module and arguments of each of `commands`; all are ended as Ctrl-C ends them.

    What the `speaker` prints is for `events`; all else is in `work`/NAME.log. `profile` says
    whether config/fastdds.xml is in force.
    """
    domain = Domain()
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(domain.number),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(work / "ros"),
        PROFILE: str(share_folder() / "config/fastdds.xml"),
    }
    if not profile:
        del environment[PROFILE]
    processes: Processes = {}
    with ExitStack() as stack:
        stack.callback(domain.release)
        stack.callback(_end, processes)
        for name, command in commands.items():
            errors = stack.enter_context((work / f"{name}.log").open("wb"))
            processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if name == speaker else errors,
                stderr=errors,
                text=True,
            )
        yield processes


def events(processes: Processes, speaker: str, work: Path) -> Iterator[dict[str, Any]]:
    """What the `speaker` tells in lines of JSON, and meanwhile an empty event now and then.

    Raises BenchFailed if a process ends with an error, or the speaker before the caller has enough.
    """
    told = processes[speaker].stdout
    assert told is not None
    while True:
        gone = [name for name, process in processes.items() if process.poll()]
        if gone:
            raise BenchFailed("; ".join(_last_words(work / f"{name}.log") for name in gone))
        if select.select([told], (), (), 0.2)[0]:
            line = told.readline()
            if not line:
                raise BenchFailed(_last_words(work / f"{speaker}.log"))
            try:
                told_event = json.loads(line)
            except json.JSONDecodeError as error:
                raise BenchFailed(f"the {speaker} said what is no event: {line!r}") from error
            yield told_event
        else:
            yield {}


def _end(processes: Processes) -> None:
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

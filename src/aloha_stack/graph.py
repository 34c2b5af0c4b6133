"""A running graph for a command: a launch file as a child process, in a ROS domain of its own."""

import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from aloha_stack.robot.share import share_folder

DOMAINS = range(1, 101)
STOP_S = 150.0
"""Wall time in which a graph must end after SIGINT: longer than any launch file's time-outs."""

TAIL_LINES = 25
LAUNCH = ["-m", "aloha_stack.launch"]
SESSION = ["-m", "aloha_stack.nodes", "session"]
PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
"""Selects the DDS profile; the launch files do so for nodes, a session needs it, too."""


class GraphFailed(RuntimeError):
    """The graph or its session ended before its work was done."""


class Domain:
    """A ROS_DOMAIN_ID that nobody else on this machine uses, held until release()."""

    def __init__(self) -> None:
        candidates = list(DOMAINS)
        random.shuffle(candidates)
        for number in candidates:
            lock = _lock(number)
            if lock is not None:
                self.number, self._lock = number, lock
                return
        raise GraphFailed("all ROS domains from 1 to 100 are taken; end some graphs first")

    def release(self) -> None:
        self._lock.close()


def _lock(number: int) -> IO[str] | None:
    """The lock of a domain, or None if it is taken: locked by us, or its first port is in use.

    DDS: the first participant of domain d listens at UDP port 7400 + 250 d + 10.
    """
    lock = (Path(tempfile.gettempdir()) / f"aloha_domain_{number}.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("", 7410 + 250 * number))
    except OSError:
        lock.close()
        return None
    return lock


class Graph:
    """Runs a launch file while the block runs; its output goes to `log`. Ends as Ctrl-C ends it.

    The graph has its own ROS domain and its own folder for the twin's ports, so that it can neither
    command another graph nor be commanded by one.
    """

    def __init__(self, launch_file: str, arguments: Mapping[str, str], log: Path) -> None:
        self.launch_file, self.log = launch_file, log
        # The grammar of launch has no empty value; an argument that is left out has its default.
        self._arguments = [f"{name}:={value}" for name, value in arguments.items() if value]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Graph":
        self._domain = Domain()
        self._ports = tempfile.mkdtemp(prefix="aloha_ports_")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.environment = {
            PROFILE: str(share_folder() / "config/fastdds.xml"),  # unless the environment has one
            **os.environ,
            "ROS_DOMAIN_ID": str(self._domain.number),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(self.log.parent / "ros"),
            "ALOHA_PORTS": self._ports,
        }
        command = [sys.executable, *LAUNCH, self.launch_file, *self._arguments]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            status = self.stop()
        finally:
            self._domain.release()
            shutil.rmtree(self._ports, ignore_errors=True)
        if status != 0 and kind is None:
            raise GraphFailed(
                f"the graph '{self.launch_file}' ended with status {status}.\n{self.tail()}"
            )

    def stop(self) -> int:
        """SIGINT, then waits: the arms park first. Returns the launcher's exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise GraphFailed(
                f"the graph '{self.launch_file}' did not end within {STOP_S:.0f} s.\n{self.tail()}"
            ) from None

    def check(self) -> None:
        """Raises GraphFailed if the graph has ended by itself."""
        assert self._process is not None
        status = self._process.poll()
        if status is not None:
            raise GraphFailed(
                f"the graph '{self.launch_file}' ended early, with status {status}.\n{self.tail()}"
            )

    def tail(self) -> str:
        """The last lines of the log, and where it is."""
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join([*(f"  | {line}" for line in lines), f"The whole log: {self.log}"])

    def session(self, *arguments: str) -> Iterator[dict[str, Any]]:
        """Runs a session (nodes/session) in this graph; its events. GraphFailed if it fails."""
        command = [sys.executable, *SESSION, *arguments]
        errors = self.log.with_suffix(".session.log")
        with (
            errors.open("wb") as error_output,
            subprocess.Popen(
                command,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=error_output,
                text=True,
            ) as process,
        ):
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    self.check()
                    event = json.loads(line)
                    if event["event"] == "failed":
                        raise GraphFailed(f"{event['message']}\n{self.tail()}")
                    yield event
                if process.wait() != 0:
                    raise GraphFailed(f"the session ended with {process.returncode}; see {errors}")
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)

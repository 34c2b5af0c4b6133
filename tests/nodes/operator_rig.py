"""The operator's tool as a process on a pseudo-terminal, and nodes that misbehave around it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from aloha_interfaces.msg import ArmStatus, RecorderState, TeleopState
from aloha_interfaces.srv import StopRecording
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from aloha_stack.nodes._executor import LeanExecutor
from aloha_stack.nodes._qos import STATE
from nodes.domains import free_domain
from nodes.recorder_rig import wait_for

CODE = "import sys; from aloha_stack.nodes.operator import main; sys.exit(main(sys.argv[1:]))"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Tool:
    """The process `operator`, with a terminal or with pipes."""

    def __init__(self, domain: int, *arguments: str, terminal: bool = True) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.found = termios.tcgetattr(self.slave)
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, *arguments],
            env={**os.environ, "PYTHONPATH": path, "ROS_DOMAIN_ID": str(domain)},
            stdin=self.slave if terminal else subprocess.PIPE,
            stdout=self.slave if terminal else subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read)
        self._source = self.master if terminal else self.process.stdout.fileno()  # type: ignore[union-attr]
        self._closing = False
        self._reader.start()

    def _read(self) -> None:
        while not self._closing:
            if select.select([self._source], [], [], 0.05)[0]:
                self.text += os.read(self._source, 65536).decode(errors="replace")

    @property
    def frame(self) -> str:
        """The last whole screen."""
        frames = self.text.split("\x1b[H")
        return CONTROL.sub("", frames[-2]) if len(frames) > 2 else ""

    def sees(self, *words: str) -> None:
        """Waits for all of these on one screen."""
        try:
            wait_for(lambda: all(word in self.frame for word in words))
        except AssertionError:
            raise AssertionError(f"{words} did not show; the screen was:\n{self.frame}") from None

    def tells(self, words: str) -> None:
        """Waits for these among all that it has shown."""
        try:
            wait_for(lambda: words in self.text)
        except AssertionError:
            raise AssertionError(f"{words!r} did not come; there was:\n{self.text}") from None

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    @property
    def restored(self) -> bool:
        return termios.tcgetattr(self.slave) == self.found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._closing = True
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        os.close(self.master)
        os.close(self.slave)


class Stand(Node):
    """Stands in for nodes that misbehave: it answers or not, speaks or not, as told."""

    def __init__(self, *services: str, hanging: tuple[str, ...] = ()) -> None:
        super().__init__("stand")
        group = ReentrantCallbackGroup()
        self.called: list[str] = []
        self.recorder: RecorderState | None = None
        self.arm: ArmStatus | None = None
        self._hang = threading.Event()
        for name in (*services, *hanging):
            kind = StopRecording if name == "/recorder/stop" else Trigger
            self.create_service(
                kind, name, self._server(name, name in hanging), callback_group=group
            )
        self._states = self.create_publisher(RecorderState, "/recorder/state", STATE)
        self._arms = self.create_publisher(ArmStatus, "/follower_left/status", STATE)
        self.teleop = self.create_publisher(TeleopState, "/teleop/state", STATE)
        self._executor_here = LeanExecutor(workers=4)
        self._executor_here.add_node(self)
        self._end = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._spin, self._speak)]
        for thread in self._threads:
            thread.start()

    def _server(self, name: str, hangs: bool) -> Callable[[Any, Any], Any]:
        def serve(_: Any, response: Any) -> Any:
            self.called.append(name)
            if hangs:
                self._hang.wait(30.0)
            response.success, response.message = True, "so be it"
            return response

        return serve

    def _spin(self) -> None:
        while not self._end.is_set():
            self._executor_here.spin_once(timeout_sec=0.05)

    def _speak(self) -> None:
        while not self._end.wait(0.1):
            if self.recorder is not None:
                self._states.publish(self.recorder)
            if self.arm is not None:
                self._arms.publish(self.arm)

    def close(self) -> None:
        self._hang.set()
        self._end.set()
        for thread in self._threads:
            thread.join()
        self._executor_here.shutdown()
        self._executor_here.release()
        self.destroy_node()


@pytest.fixture(name="tools")
def tool_maker() -> Iterator[Callable[..., Tool]]:
    tools: list[Tool] = []

    def make(*arguments: Any, **options: Any) -> Tool:
        tools.append(Tool(*arguments, **options))
        return tools[-1]

    yield make
    for tool in tools:
        tool.close()


@pytest.fixture(name="stands")
def stand_maker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Stand, int]]]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    stands: list[Stand] = []

    def make(*services: str, **options: Any) -> tuple[Stand, int]:
        domain = free_domain()
        rclpy.init(domain_id=domain)
        stands.append(Stand(*services, **options))
        return stands[-1], domain

    yield make
    for stand in stands:
        stand.close()
    rclpy.try_shutdown()

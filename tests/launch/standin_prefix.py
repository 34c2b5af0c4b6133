"""An install prefix with a package of stand-in nodes, and launch files written by a test."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from aloha_stack.launch.evaluate import make_plan
from aloha_stack.launch.plan import NodePlan

SOURCE = Path(__file__).resolve().parents[2] / "src"


def node(name: str, **parameters: str) -> str:
    """A `<node>` element with these parameters."""
    params = "".join(f'<param name="{key}" value="{text}"/>' for key, text in parameters.items())
    return f'<node pkg="standin" exec="n" name="{name}">{params}</node>'


class Prefix:
    """A package `standin` in an install prefix of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.share = root / "share/standin"
        self.libexec = root / "lib/standin"
        index = root / "share/ament_index/resource_index/packages"
        for folder in (self.share, self.libexec, index):
            folder.mkdir(parents=True)
        (index / "standin").touch()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a launch in this prefix sees."""
        return {"AMENT_PREFIX_PATH": str(self.root), "HOME": "/home/somebody"}

    def executable(self, name: str, script: str) -> None:
        """A node of the package, written in Python."""
        file = self.libexec / name
        bound = (
            "import signal; signal.alarm(60)"  # not even a failed test leaves it behind for long
        )
        file.write_text(f"#!{sys.executable} -S\n{bound}\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def launch_file(self, body: str, name: str = "test.launch.xml") -> Path:
        """A launch file with `body` inside `<launch>`; the body begins on line 2."""
        file = self.share / name
        file.write_text(f"<launch>\n{body}\n</launch>\n")
        return file

    def plan(self, body: str, **given: str) -> tuple[NodePlan, ...]:
        """The plan of a launch file with this body."""
        return make_plan(self.launch_file(body), given, self.environment)

    def start(self, body: str, *words: str) -> "subprocess.Popen[str]":
        """The launcher, running a file with this body; output and errors come together."""
        return subprocess.Popen(
            self._command(body, *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=self._launcher_environment,
        )

    def become_launcher(self, body: str) -> NoReturn:
        """Replaces this process by the launcher."""
        os.execve(sys.executable, self._command(body), self._launcher_environment)

    def _command(self, body: str, *words: str) -> list[str]:
        file = self.launch_file(body)
        return [sys.executable, "-m", "aloha_stack.launch", str(file), *words]

    @property
    def _launcher_environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "PYTHONPATH": str(SOURCE)}

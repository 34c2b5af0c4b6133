"""A program that another Python runs, one that has a peer's packages: a line asked, a line said."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import IO, TypeVar

Own = TypeVar("Own", bound="ForeignProgram")

PEERS = "ALOHA_PEERS"
"""In the environment: a Python that has lerobot."""

END_S = 10.0
SET_HERE = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""What is set for this project's Python only."""


class ForeignError(RuntimeError):
    """The program cannot be started, or ended; the message has its last words."""


class ForeignProgram:
    """Starts it; as a context, ends it. Raises ForeignError."""

    def __init__(self, python: Path, script: str, *arguments: object) -> None:
        """Its first line has to be "ready", and what it is: `name`."""
        environment = {key: value for key, value in os.environ.items() if key not in SET_HERE}
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in _end
        try:
            self._process = subprocess.Popen(
                [str(python), script, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=environment,
                text=True,
            )
        except OSError as error:
            self._said.close()
            raise ForeignError(f"{python} cannot be started: {error.strerror}") from error
        try:
            self.name = self._answer().removeprefix("ready ")
        except BaseException:
            self._end()
            raise

    def ask(self, line: str) -> str:
        """What it says to this."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            self._process.wait(END_S)
            self._said.seek(0)
            last = self._said.read().decode(errors="replace").strip().splitlines()
            raise ForeignError(last[-1] if last else "it ended")
        return line

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

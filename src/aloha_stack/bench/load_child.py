"""lerobot's own reader, in a process of a Python that has it (`load_lerobot.py`)."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from aloha_stack.bench import load_lerobot
from aloha_stack.episodes.errors import EpisodeError

END_S = 10.0
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""What is set here for this project's Python only."""


class LeRobotChild:
    """Starts the process; as a context, ends it. Raises EpisodeError if it cannot read."""

    def __init__(self, python: Path, dataset: Path, chunk: int, batch: int) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in _end
        script = Path(load_lerobot.__file__)
        try:
            self._process = subprocess.Popen(
                [python, script, dataset, str(chunk), str(batch)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=environment,
                text=True,
            )
        except OSError as error:
            raise EpisodeError(f"{python} cannot be started: {error.strerror}") from error
        try:
            self.name = self._answer().removeprefix("ready ")
        except BaseException:
            self._end()
            raise

    def rate_at(self, size: tuple[int, int]) -> Callable[[int, float], float]:
        """Measures with pictures of this height and width."""

        def rate(workers: int, seconds: float) -> float:
            assert self._process.stdin is not None
            self._process.stdin.write(f"{size[0]} {size[1]} {workers} {seconds}\n")
            self._process.stdin.flush()
            return float(self._answer())

        return rate

    def __enter__(self) -> "LeRobotChild":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            self._process.wait(END_S)
            self._said.seek(0)
            last = self._said.read().decode(errors="replace").strip().splitlines()
            raise EpisodeError(
                f"lerobot does not read the data: {last[-1] if last else 'it ended'}"
            )
        return line

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

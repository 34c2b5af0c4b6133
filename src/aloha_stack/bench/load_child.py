"""lerobot's own reader, in a process of a Python that has it (`load_lerobot.py`)."""

from collections.abc import Callable
from pathlib import Path

from aloha_stack.bench import load_lerobot
from aloha_stack.bench.foreign import ForeignError, ForeignProgram
from aloha_stack.episodes.errors import EpisodeError


class LeRobotChild(ForeignProgram):
    """Starts the process; as a context, ends it. Raises EpisodeError if it cannot read."""

    def __init__(self, python: Path, dataset: Path, chunk: int, batch: int) -> None:
        try:
            super().__init__(python, load_lerobot.__file__, dataset, chunk, batch)
        except ForeignError as error:
            raise EpisodeError(f"lerobot does not read the data: {error}") from error

    def rate_at(self, size: tuple[int, int]) -> Callable[[int, float], float]:
        """Measures with pictures of this height and width."""

        def rate(workers: int, seconds: float) -> float:
            try:
                return float(self.ask(f"{size[0]} {size[1]} {workers} {seconds}"))
            except ForeignError as error:
                raise EpisodeError(f"lerobot does not read the data: {error}") from error

        return rate

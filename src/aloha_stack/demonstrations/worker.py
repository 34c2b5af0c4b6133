"""What one process of a generation does: an attempt, and if it succeeds its episode."""

from functools import cache
from pathlib import Path

from aloha_stack.demonstrations.settings import Request
from aloha_stack.demonstrations.take import perform
from aloha_stack.demonstrations.writing import TakeWriter


def attempt(request: Request, directory: Path, seed: int) -> bool:
    """Tries the world of `seed`; whether it succeeded, and its episode is written."""
    take = perform(request, seed)
    if take.success:
        _writer(request, directory).write(take)
    return take.success


@cache
def _writer(request: Request, directory: Path) -> TakeWriter:
    """The one renderer of a process, for as long as it lives."""
    return TakeWriter(request, directory)

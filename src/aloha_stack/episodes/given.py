"""The files and folders that a person names."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError


def check_once(paths: Sequence[Path]) -> None:
    """Raises EpisodeError if one of `paths` is there twice, by whatever way it was named."""
    times = Counter(path.resolve() for path in paths)
    twice = sorted({str(path) for path in paths if times[path.resolve()] > 1})
    if twice:
        raise EpisodeError(f"{', '.join(twice)} is given twice; an episode counts once")

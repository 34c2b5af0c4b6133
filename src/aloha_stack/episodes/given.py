"""The files and folders that a person names."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import episode_paths
from aloha_stack.episodes.metadata import FILE_NAME


def named_episodes(path: Path) -> list[Path]:
    """The episode that `path` is, or those of the folder. Raises FolderError if it is neither."""
    return [path] if (path / FILE_NAME).exists() else episode_paths(path)


def check_once(paths: Sequence[Path]) -> None:
    """Raises EpisodeError if one of `paths` is there twice, by whatever way it was named."""
    times = Counter(path.resolve() for path in paths)
    twice = sorted({str(path) for path in paths if times[path.resolve()] > 1})
    if twice:
        raise EpisodeError(f"{', '.join(twice)} is given twice; an episode counts once")

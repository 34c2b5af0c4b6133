"""The folder or file that an export makes: whole, or not at all."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import GIB, free_gib

PARTIAL = ".partial"


def check_target(target: Path) -> None:
    """Raises EpisodeError if something is in the way: nothing is ever written over."""
    if target.exists() or target.is_symlink():
        raise EpisodeError(f"{target} exists; remove it, or choose another target")
    partial = _partial(target)
    if partial.exists():
        raise EpisodeError(
            f"{partial} exists: another export is writing it, or one was killed; remove it if "
            "none is running"
        )


def check_room(target: Path, needed: float, mend: str) -> None:
    """Raises EpisodeError, which says how to `mend` it, if the disk of `target` has not the
    `needed` bytes."""
    needed, free = needed / GIB, free_gib(target)
    if needed > free:
        raise EpisodeError(
            f"{target} needs some {needed:.1f} GiB, {free:.1f} GiB are free; make room, or {mend}"
        )


@contextlib.contextmanager
def new_target(target: Path) -> Iterator[Path]:
    """A new folder to write into, which becomes `target` if all goes well and vanishes if not."""
    check_target(target)
    partial = _partial(target)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise EpisodeError(f"{partial} cannot be made: {error.strerror}") from error
    try:
        yield partial
        partial.rename(target)
    except OSError as error:
        raise EpisodeError(f"{target} could not be written: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _partial(target: Path) -> Path:
    return target.with_name(target.name + PARTIAL)

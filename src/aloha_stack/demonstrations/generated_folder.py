"""The folder of generated episodes: whose it is, and what is in it already."""

import fcntl
import json
import os
import shutil
from pathlib import Path

from aloha_stack.demonstrations.settings import GENERATED, Request
from aloha_stack.episodes.errors import EpisodeError, FolderError
from aloha_stack.episodes.folder import check_folder, episode_paths
from aloha_stack.episodes.metadata import RECORDING, EpisodeInfo, read_metadata

MIN_FREE_GIB = 1.0


class GeneratedFolder:
    """Held, as a context, by one generation at a time.

    `done` are the seeds whose episodes are there. Entering it raises FolderError where somebody
    else is generating, where the disk is full, or where the folder holds other episodes; what a
    generation that was killed left half done is removed.
    """

    def __init__(self, directory: Path, request: Request) -> None:
        self.directory, self._request = directory, request
        self.done: set[int] = set()
        self._lock = -1

    def __enter__(self) -> "GeneratedFolder":
        check_folder(self.directory, MIN_FREE_GIB)
        self._lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.done = {
                seed for path in episode_paths(self.directory) for seed in self._look(path)
            }
        except BlockingIOError:
            os.close(self._lock)
            raise FolderError(
                f"somebody generates episodes into {self.directory} right now; wait, or give "
                "another folder"
            ) from None
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def _look(self, path: Path) -> set[int]:
        """The seed of a whole episode of this request; or nothing."""
        try:
            info = EpisodeInfo.from_custom_data(read_metadata(path).get("custom_data") or {})
        except (EpisodeError, ValueError) as error:
            if any(path.iterdir()):
                raise FolderError(
                    f"{path} is no generated episode ({error}); give a folder of its own"
                ) from error
            path.rmdir()  # its making ended before it began
            return set()
        note = info.notes.get(GENERATED)
        if note != self._request.note():
            raise FolderError(
                f"{path} was made otherwise ({_words(note)}; asked for is "
                f"{_words(self._request.note())}); give a folder of its own"
            )
        if info.outcome == RECORDING:
            shutil.rmtree(path)
            return set()
        return {info.seed}


def _words(note: str | None) -> str:
    if note is None:
        return "recorded, not generated"
    about = json.loads(note)
    width, height = about["size"]
    task = " ".join(filter(None, (about["task"], about.get("variation"))))
    return f"{task}, {', '.join(about['cameras'])} at {width}x{height}"

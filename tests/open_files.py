"""What a process has open, read while its threads open and close files."""

import os
from contextlib import suppress
from pathlib import Path


def open_files(process: int | str = "self") -> list[str]:
    """Where each of its file descriptors leads; one that was closed meanwhile is left out."""
    folder = Path(f"/proc/{process}/fd")
    targets = []
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):
            targets.append(os.readlink(folder / name))
    return targets

"""The folder of a twin's ports belongs to one twin at a time."""

import fcntl
import os
from pathlib import Path

LOCK_NAME = "twin.lock"


class FolderTakenError(ValueError):
    """Another twin has its ports in this folder."""


class PortFolder:
    """Holds `path` from its making until `release`. The lock ends with the process, too.

    Raises FolderTakenError if another twin holds it. The lock's file stays: whoever removed it
    could take it from a twin that is just opening it.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise FolderTakenError(
                f"another twin has its ports in {path}; end it, or give this one a folder of its "
                "own: set ALOHA_PORTS, or a different ROS_DOMAIN_ID, from which the launch files "
                "make the folder's name"
            ) from error

    def release(self) -> None:
        """Lets the next twin in; again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

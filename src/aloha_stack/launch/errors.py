"""What a launch file, or the way it was called, can get wrong."""

from pathlib import Path


class LaunchError(Exception):
    """A launch that cannot be carried out; nothing has been started (exit status 2)."""


class LaunchFileError(LaunchError):
    """A fault at a place in a launch file."""

    def __init__(self, file: Path, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")

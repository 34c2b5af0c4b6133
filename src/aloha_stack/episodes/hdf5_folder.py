"""A folder of ALOHA HDF5 files: episode_0.hdf5, episode_1.hdf5, …"""

import re
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.export_plan import Plan, Tell
from aloha_stack.episodes.given import check_once
from aloha_stack.episodes.hdf5_writing import write_hdf5
from aloha_stack.episodes.steps import EpisodeSteps


class Hdf5Folder:
    """Takes episodes for export."""

    def __init__(self, folder: Path, compress: bool, exchanged: bool) -> None:
        self._folder, self._compress, self._exchanged = folder, compress, exchanged
        self._count = 0

    def add(self, steps: EpisodeSteps, tell: Tell) -> None:
        """Writes the next file."""
        path = self._folder / f"episode_{self._count}.hdf5"
        write_hdf5(steps, path, self._compress, self._exchanged, tell)
        self._count += 1

    def finish(self) -> None:
        """Every file is whole already."""


def raw_bytes(plan: Plan) -> int:
    """What the raw pictures of `plan` take."""
    return plan.steps * sum(3 * height * width for height, width in plan.form.sizes.values())


def hdf5_files(paths: list[Path]) -> list[Path]:
    """The files among `paths`, and those in its folders, by number. Raises EpisodeError."""
    found = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.glob("*.hdf5"), key=_number)
            if not inside:
                raise EpisodeError(f"{path} holds no *.hdf5")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise EpisodeError(f"no file at {path}; give ALOHA HDF5 files or a folder of them")
    check_once(found)
    return found


def _number(path: Path) -> tuple[int, str]:
    digits = re.findall(r"\d+", path.stem)
    return (int(digits[-1]) if digits else -1, path.name)

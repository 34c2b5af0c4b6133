"""The same steps in every form that `./aloha bench load` reads."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aloha_stack.bench.footage import footage
from aloha_stack.bench.synthetic_episode import synthetic_episode
from aloha_stack.episodes.aligned_steps import recorded_steps
from aloha_stack.episodes.alignment import AlignmentSettings
from aloha_stack.episodes.folder import episode_paths
from aloha_stack.episodes.hdf5_writing import write_hdf5
from aloha_stack.episodes.lerobot_layout import VIDEO_PATH, video_key
from aloha_stack.episodes.lerobot_video import CODECS
from aloha_stack.episodes.lerobot_writer import LeRobotWriter
from aloha_stack.episodes.steps import EpisodeSteps, Form

PICTURES = 50
"""Different ones; they come again and again."""

Show = Callable[[str], None]


@dataclass(frozen=True)
class LoadData:
    """Where the forms are; the files of a form are in the order of the episodes."""

    episodes: Sequence[Path]  # as the recorder writes them
    compressed: Sequence[Path]  # ALOHA HDF5
    raw: Sequence[Path]
    lerobot: Path  # LeRobotDataset v3.0
    cache: Path


def prepare(folder: Path, count: int, seconds: float, show: Show) -> LoadData:
    """Makes what is not in `folder` yet: `count` episodes, and all other forms from them."""
    source = folder / f"episodes_{count}x{seconds:g}s"
    pictures = [file.read_bytes() for file in sorted(footage(folder, count=PICTURES).iterdir())]

    def record(unfinished: Path) -> None:
        for number in range(count):
            show(f"recording episode {number + 1} of {count}")
            synthetic_episode(unfinished, pictures[number:] + pictures[:number], seconds)

    _once(source, record)
    episodes = episode_paths(source)
    forms = {}
    for kind in ("compressed", "raw"):

        def export(unfinished: Path, kind: str = kind) -> None:
            unfinished.mkdir()
            for number, steps in enumerate(_steps(episodes)):
                show(f"exporting episode {number + 1} of {count} as {kind} ALOHA HDF5")
                write_hdf5(steps, unfinished / f"episode_{number}.hdf5", kind == "compressed")

        forms[kind] = folder / f"{source.name}_{kind}"
        _once(forms[kind], export)
    lerobot = folder / f"{source.name}_lerobot"
    _once(lerobot, lambda unfinished: _export_lerobot(_steps(episodes), unfinished, show))
    compressed, raw = (
        [forms[kind] / f"episode_{n}.hdf5" for n in range(count)] for kind in ("compressed", "raw")
    )
    return LoadData(episodes, compressed, raw, lerobot, folder / "cache")


def bytes_needed(count: int, seconds: float) -> int:
    """Of all forms: raw pictures twice, and at half size, and JPEGs thrice. Rounded up."""
    steps = count * seconds * 50
    return round(steps * 4 * (2.25 * 640 * 480 * 3 + 3 * 100e3))


def files_in(*paths: Path) -> list[Path]:
    """These files, and all files in these folders."""
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return [file for file in files if file.is_file()]


def size_of(*paths: Path) -> int:
    """Bytes of files, or of all files in folders."""
    return sum(file.stat().st_size for file in files_in(*paths))


def read_through(*files: Path) -> None:
    """Reads files to their ends, so that the system has them in memory."""
    buffer = bytearray(1 << 20)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def video_of(lerobot: Path, camera: str) -> Path:
    """The file with the pictures of all episodes: they are short enough to be in one."""
    return lerobot / VIDEO_PATH.format(video_key=video_key(camera), chunk_index=0, file_index=0)


def _export_lerobot(episodes: Sequence[EpisodeSteps], folder: Path, show: Show) -> None:
    folder.mkdir()
    writer = LeRobotWriter(folder, Form.of(episodes[0]), CODECS["av1"])
    for number, steps in enumerate(episodes):
        show(f"exporting episode {number + 1} of {len(episodes)} as LeRobotDataset")
        writer.add(steps, lambda pictures: None)
    writer.finish()


def _steps(episodes: Sequence[Path]) -> list[EpisodeSteps]:
    return [steps for path in episodes for steps in recorded_steps(path, AlignmentSettings())]


def _once(target: Path, make: Callable[[Path], None]) -> None:
    """Makes `target`, unless it is there; what was interrupted is begun anew."""
    if target.exists():
        return
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    make(unfinished)
    os.rename(unfinished, target)

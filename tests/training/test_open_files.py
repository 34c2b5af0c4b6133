"""Files that are read here and there: few are open at once, whatever is asked for."""

import pickle
from pathlib import Path

import pytest

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.training.frames import OpenFiles
from open_files import open_files


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.mcap" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(range(10 * number, 10 * number + 10)))
    return paths


def still_open(folder: Path) -> set[str]:
    """Names of the files in a folder that this process has open."""
    targets = [Path(target) for target in open_files()]
    return {target.name for target in targets if target.parent == folder}


def test_more_files_are_read_than_may_be_open(paths: list[Path]) -> None:
    files = OpenFiles(most=2)
    for number in (0, 1, 2, 0, 3, 4, 0, 1):
        assert files.read(paths[number], 3, 2) == bytes([10 * number + 3, 10 * number + 4])
        assert len(still_open(paths[0].parent)) <= 2
    files.read(paths[0], 0, 1)
    files.read(paths[4], 0, 1)
    assert still_open(paths[0].parent) == {"0.mcap", "4.mcap"}  # the last used
    files.close()
    assert not still_open(paths[0].parent)


def test_a_copy_for_another_process_opens_its_own(paths: list[Path]) -> None:
    files = OpenFiles()
    files.read(paths[0], 0, 1)
    copy = pickle.loads(pickle.dumps(files))
    files.close()
    assert copy.read(paths[0], 1, 1) == b"\x01"


def test_what_is_not_there_is_named(paths: list[Path]) -> None:
    files = OpenFiles()
    with pytest.raises(EpisodeError, match=r"3\.mcap became shorter"):
        files.read(paths[3], 5, 6)
    with pytest.raises(EpisodeError, match=r"gone\.mcap cannot be read: No such file"):
        files.read(paths[0].with_name("gone.mcap"), 0, 1)

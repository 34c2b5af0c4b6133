"""The cache gives what the episodes give, is built whole or not at all, and follows changes."""

import os
import pickle
import shutil
import threading
from pathlib import Path

import pytest
import torch

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.training import cache as cache_module
from aloha_stack.training.cache import cache_bytes, cached
from aloha_stack.training.dataset import EpisodeDataset
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.store import EpisodeStore, open_episodes
from training.training_episodes import write

SMALL = ReadSettings(image_size=(24, 32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "episodes", number=0)
    write(tmp_path / "episodes", number=1)
    return tmp_path / "episodes"


@pytest.fixture
def store(folder: Path) -> EpisodeStore:
    return open_episodes([folder], SMALL)


def files(place: Path) -> dict[str, int]:
    """Name and time of change of the files in a cache."""
    return {path.name: path.stat().st_mtime_ns for path in place.iterdir() if path.name[0] != "."}


def test_samples_from_the_cache_are_those_of_the_episodes(
    store: EpisodeStore, tmp_path: Path
) -> None:
    told: list[tuple[str, float]] = []
    fast = cached(store, tmp_path / "cache", lambda what, part: told.append((what, part)))
    recorded, mapped = EpisodeDataset(store), EpisodeDataset(fast)
    for index in (0, 17, len(store) - 1):
        for key, value in recorded[index].items():
            assert torch.equal(value, mapped[index][key]), key
    there = pickle.loads(pickle.dumps(mapped))
    assert torch.equal(there[17]["images"], recorded[17]["images"])
    assert told[-1][1] == 1.0
    sizes = sum(path.stat().st_size for path in (tmp_path / "cache").glob("*.npy"))
    assert cache_bytes(store) <= sizes < cache_bytes(store) + 1000


def test_a_part_of_the_pictures_has_a_cache_of_its_own(
    store: EpisodeStore, folder: Path, tmp_path: Path
) -> None:
    cached(store, tmp_path / "cache")
    part = open_episodes([folder], ReadSettings(image_size=(24, 32), crop=(4, 6, 10, 20)))
    images = EpisodeDataset(cached(part, tmp_path / "cache"))[17]["images"]
    whole = EpisodeDataset(store)[17]["images"]
    assert torch.equal(images, whole[:, 4:14, 6:26])


def test_what_is_there_is_used_by_everybody_and_never_made_again(
    store: EpisodeStore, tmp_path: Path
) -> None:
    cached(store, tmp_path / "cache")
    before = files(tmp_path / "cache")
    again = open_episodes([tmp_path / "episodes"], SMALL)
    cached(again, tmp_path / "cache")
    assert files(tmp_path / "cache") == before
    write(tmp_path / "episodes", number=2)
    cached(open_episodes([tmp_path / "episodes"], SMALL), tmp_path / "cache")
    after = files(tmp_path / "cache")
    assert len(after) == 3  # only the new episode was made
    assert before.items() <= after.items()


def test_other_settings_have_files_of_their_own(store: EpisodeStore, tmp_path: Path) -> None:
    cached(store, tmp_path / "cache")
    other = open_episodes([tmp_path / "episodes"], ReadSettings(cameras=("cam_low",)))
    images = EpisodeDataset(cached(other, tmp_path / "cache"))[3]["images"]
    assert torch.equal(images, EpisodeDataset(other)[3]["images"])
    assert len(files(tmp_path / "cache")) == 4


def test_an_episode_that_was_recorded_anew_is_made_anew(
    store: EpisodeStore, folder: Path, tmp_path: Path
) -> None:
    cached(store, tmp_path / "cache")
    before = files(tmp_path / "cache")
    shutil.rmtree(folder / "episode_000001")
    write(folder, number=5)
    changed = open_episodes([folder], SMALL)
    images = EpisodeDataset(cached(changed, tmp_path / "cache"))[len(changed) - 2]["images"]
    assert torch.equal(images, EpisodeDataset(changed)[len(changed) - 2]["images"])
    after = files(tmp_path / "cache")
    assert len(after) == 2  # the stale one went
    assert len(before.keys() & after.keys()) == 1


def test_an_interrupted_build_leaves_nothing_half(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "BLOCK_BYTES", 1 << 14)

    def interrupt(what: str, part: float) -> None:
        if part > 0.7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(store, tmp_path / "cache", interrupt)
    (first,) = files(tmp_path / "cache")
    assert first.startswith("episode_000000")
    left = tmp_path / "cache" / "killed.pictures.partial"
    left.write_bytes(b"left by a process that was killed")
    foreign = tmp_path / "cache" / "export.partial"
    foreign.mkdir()
    fast = cached(store, tmp_path / "cache")
    assert not left.exists()
    assert foreign.exists()
    foreign.rmdir()
    assert len(files(tmp_path / "cache")) == 2
    recorded = EpisodeDataset(store)[len(store) - 1]["images"]
    assert torch.equal(EpisodeDataset(fast)[len(store) - 1]["images"], recorded)


def test_a_file_that_was_cut_is_made_again(store: EpisodeStore, tmp_path: Path) -> None:
    cached(store, tmp_path / "cache")
    (cut, _) = sorted((tmp_path / "cache").glob("*.npy"))
    os.truncate(cut, 5000)
    images = EpisodeDataset(cached(store, tmp_path / "cache"))[4]["images"]
    assert torch.equal(images, EpisodeDataset(store)[4]["images"])


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "SPARE_BYTES", 1 << 60)
    with pytest.raises(EpisodeError, match=r"the cache needs \d\.\d GB, and the disk of \S+ has"):
        cached(store, tmp_path / "cache")
    assert not files(tmp_path / "cache")


def test_a_folder_that_cannot_be_made_is_named(store: EpisodeStore, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(EpisodeError, match=r"cache cannot be written: File exists"):
        cached(store, tmp_path / "cache")


def test_a_damaged_picture_ends_the_build_by_name(store: EpisodeStore, tmp_path: Path) -> None:
    index = store.episodes[1].cameras[0]
    with index.path.open("r+b") as file:
        file.seek(int(index.offset[3]))
        file.write(b"\0\0\0\0")
    with pytest.raises(EpisodeError, match=r"episode_000001\S+ picture 3 of /cam_high/"):
        cached(store, tmp_path / "cache")
    assert len(files(tmp_path / "cache")) == 1


def test_two_that_build_at_once_make_each_file_once(store: EpisodeStore, tmp_path: Path) -> None:
    made: list[str] = []

    def build() -> None:
        cached(store, tmp_path / "cache", lambda what, part: made.append(what))

    builders = [threading.Thread(target=build) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    episodes = [what for what in made if "waiting" not in what]
    assert len(episodes) == 2
    assert len(files(tmp_path / "cache")) == 2

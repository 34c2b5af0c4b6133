"""The load bench compares like with like: every reader gives the same steps."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import Dataset

from aloha_stack.bench.load import CACHE, COMPRESSED, JPEG, RAW, VIDEO, main, rate_rows
from aloha_stack.bench.load_child import LeRobotChild
from aloha_stack.bench.load_contenders import Contenders
from aloha_stack.bench.load_data import LoadData, prepare
from aloha_stack.bench.load_peers import Hdf5Samples, VideoSamples
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.training.dataset import EpisodeDataset, Sample
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.store import open_episodes

CHUNK = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LoadData:
    return prepare(tmp_path_factory.mktemp("load"), 1, 1.1, lambda text: None)


@pytest.mark.parametrize("size", [(480, 640), (240, 320)])
def test_all_readers_give_the_same_samples(data: LoadData, size: tuple[int, int]) -> None:
    store = open_episodes(data.episodes, ReadSettings(image_size=size))
    arrays = [(one.state, one.action) for one in store.episodes]
    ours = EpisodeDataset(store, CHUNK)
    peers: dict[str, Dataset[Sample]] = {
        COMPRESSED: Hdf5Samples(data.compressed, store.cameras, size, CHUNK),
        RAW: Hdf5Samples(data.raw, store.cameras, size, CHUNK),
        VIDEO: VideoSamples(data.lerobot, arrays, store.cameras, size, CHUNK),
    }
    for name, peer in peers.items():
        assert len(peer) == len(ours)  # type: ignore[arg-type]
        for index in (0, 31, len(ours) - 5):
            sample, expected = peer[index], ours[index]
            assert set(sample) < set(expected)
            for key in ("state", "is_pad"):
                np.testing.assert_allclose(sample[key], expected[key], rtol=1e-6)
            taken = ~expected["is_pad"]
            np.testing.assert_allclose(sample["action"][taken], expected["action"][taken])
            images = sample["images"].numpy().astype(float)
            if name == COMPRESSED:  # as act-plus-plus takes them, red and blue exchanged
                images = images[..., ::-1]
            apart = np.abs(images - expected["images"].numpy()).mean()
            assert apart < (12.0 if name == VIDEO else 2.0), name  # video of noise is no exact one


def test_every_reader_is_measured_from_its_files(data: LoadData) -> None:
    with Contenders(data, CHUNK, lambda text: None) as contenders:
        readers = contenders.at((240, 320))
        assert list(readers) == [JPEG, COMPRESSED, f"{VIDEO} by PyAV", CACHE, RAW]
        for reader in readers.values():
            assert all(file.exists() for file in reader.files)
            assert reader.files
        assert readers[CACHE].rate(0, 0.1) > 0
        assert readers[RAW].rate(0, 0.1) > 0


def test_each_of_ours_stands_beside_its_peers() -> None:
    rates = {
        JPEG: 100.0,
        COMPRESSED: 80.0,
        CACHE: 900.0,
        RAW: 1000.0,
        f"{VIDEO} by PyAV": 50.0,
        f"{VIDEO} by lerobot": 5.0,
    }
    rows = rate_rows(rates, (240, 320), 2)
    assert [(row.metric.split(",")[0], row.peer, row.ratio, row.holds) for row in rows] == [
        (JPEG, COMPRESSED, 1.25, True),
        (JPEG, f"{VIDEO} by PyAV", 2.0, True),
        (JPEG, f"{VIDEO} by lerobot", 20.0, True),
        (CACHE, RAW, 0.9, False),
    ]


def test_a_python_without_lerobot_is_told(data: LoadData, tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="lerobot does not read the data"):
        LeRobotChild(Path(sys.executable), data.lerobot, CHUNK, 8)
    with pytest.raises(EpisodeError, match="cannot be started: No such file"):
        LeRobotChild(tmp_path / "python", data.lerobot, CHUNK, 8)


def test_a_folder_without_room_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("aloha_stack.bench.load.bytes_needed", lambda *_: 1 << 60)
    assert main(["--folder", str(tmp_path)]) == 2
    assert "make room" in capsys.readouterr().err
    assert not os.listdir(tmp_path)

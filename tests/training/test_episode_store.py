"""Which episodes are learnt from: those that are alike and pass the gate; others are named."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.training.dataset import EpisodeDataset
from aloha_stack.training.sampling import EPISODE, STEP, SeededSampler
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.statistics import STD_FLOOR, Statistics, describe, statistics
from aloha_stack.training.store import find_episodes, open_episodes, split_episodes
from training.training_episodes import write

ANY = ReadSettings(allowed=("good", "flawed", "incomplete"))


def refusal(folder: Path, settings: ReadSettings = ANY) -> str:
    with pytest.raises(EpisodeError) as refused:
        open_episodes([folder], settings)
    return str(refused.value)


def test_flawed_incomplete_and_damaged_episodes_are_all_named_with_their_reasons(
    tmp_path: Path,
) -> None:
    paths = [write(tmp_path) for _ in range(4)]
    metadata = paths[1] / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("outcome: success", "outcome: interrupted"))
    (file,) = paths[2].glob("*.mcap")
    file.write_bytes(b"no episode")
    write(tmp_path, seconds=0.5)
    told = refusal(tmp_path, ReadSettings())
    assert told.startswith("3 of 5 episodes cannot be learnt from")
    assert f"{paths[1]} is incomplete: the recording was interrupted" in told
    assert str(paths[2]) in told
    assert "episode_000004 is flawed: it lasts 0.49 s (at least 1 s)" in told
    shutil.rmtree(paths[2])
    assert len(open_episodes([tmp_path], ANY).episodes) == 4  # the others, when asked for


def test_episodes_of_other_cameras_sizes_rates_or_robots_are_named(tmp_path: Path) -> None:
    for name, other, told in (
        ("cameras", {"cameras": ("cam_high", "cam_left_wrist")}, "cam_left_wrist"),
        ("sizes", {"size": (24, 32)}, "cam_high 24×32, cam_low 24×32 instead of cam_high 48×64"),
        ("rates", {"camera_ticks": 4}, "camera cam_high came at 25.0 Hz instead of 50.0 Hz"),
        ("robots", {"robot": "aloha"}, "its robot is aloha instead of twin"),
    ):
        write(tmp_path / name)
        path = write(tmp_path / name, **other)
        assert f"{path}: " in refusal(tmp_path / name)
        assert told in refusal(tmp_path / name)


def test_a_camera_that_is_asked_for_and_was_not_recorded_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    told = refusal(tmp_path, ReadSettings(cameras=("cam_low", "cam_right_wrist")))
    assert f"{path} has no camera cam_right_wrist; it has cam_high, cam_low" in told


def test_other_cameras_do_not_matter_where_they_are_not_asked_for(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, cameras=("cam_high",))
    store = open_episodes([tmp_path], ReadSettings(cameras=("cam_high",)))
    assert store.cameras == ("cam_high",)


def test_pictures_are_not_made_larger_than_they_were(tmp_path: Path) -> None:
    write(tmp_path)
    told = refusal(tmp_path, ReadSettings(image_size=(96, 128)))
    assert "cam_high 48×64, cam_low 48×64 are smaller than the image_size 96×128" in told


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    assert "holds none" in refusal(tmp_path)
    assert "no folder" in refusal(tmp_path / "nowhere")
    path = write(tmp_path)
    (tmp_path / "also").symlink_to(path)
    for other in (tmp_path, tmp_path / "also"):
        with pytest.raises(EpisodeError, match=f"{path} is given twice"):
            open_episodes([path, other], ANY)
    assert find_episodes(tmp_path) == find_episodes(str(path)) == [path]


def test_damage_that_only_checksums_tell_is_found_before_anything_is_learnt(tmp_path: Path) -> None:
    path = write(tmp_path)
    whole = open_episodes(tmp_path, ReadSettings())
    index = whole.episodes[0].cameras[1]
    with index.path.open("r+b") as file:
        file.seek(int(index.offset[10]) + 200)
        file.write(b"\x55\x55")
    with pytest.raises(EpisodeError, match="the checksum of a chunk does not fit") as raised:
        open_episodes(tmp_path, ReadSettings())
    assert str(path) in str(raised.value)
    assert len(open_episodes(tmp_path, ReadSettings(verify=False))) == len(whole)


def test_a_split_is_the_same_in_any_order_and_another_with_another_seed(tmp_path: Path) -> None:
    for number in range(10):
        folder = tmp_path / f"episode_{number:06d}"
        folder.mkdir()
        (folder / "metadata.yaml").touch()
    paths = find_episodes([tmp_path])
    train, validation = split_episodes(paths, 0.2, seed=1)
    assert (len(train), len(validation)) == (8, 2)
    assert sorted(train + validation) == paths
    assert split_episodes(paths[::-1], 0.2, seed=1) == (train, validation)
    assert any(split_episodes(paths, 0.2, seed=s) != (train, validation) for s in range(2, 6))
    assert split_episodes(paths, 0.0) == (paths, [])
    assert len(split_episodes(paths[:2], 0.01)[1]) == 1
    with pytest.raises(EpisodeError, match="cannot be split"):
        split_episodes(paths[:1])


def test_episodes_that_are_not_allowed_are_on_neither_side_of_a_split(tmp_path: Path) -> None:
    good = [write(tmp_path) for _ in range(4)]
    expected = split_episodes(good, 0.5, seed=2)
    short = write(tmp_path, seconds=0.5)  # flawed
    (file,) = write(tmp_path).glob("*.mcap")
    file.write_bytes(b"no episode")
    assert split_episodes(tmp_path, 0.5, seed=2, allowed=("good",)) == expected
    train, validation = split_episodes(tmp_path, 0.5, seed=2, allowed=("good", "flawed"))
    assert sorted(train + validation) == [*good, short]
    with pytest.raises(EpisodeError, match=r"0 episodes \(incomplete\) cannot be split"):
        split_episodes(tmp_path, 0.5, allowed=("incomplete",))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> EpisodeDataset:
    """A short episode, and one three times as long; two joints of the left arm do not move."""
    folder = tmp_path_factory.mktemp("uneven")
    write(folder, seconds=1.2, still=("waist",))
    write(folder, seconds=3.6, still=("waist",), number=1)
    return EpisodeDataset(open_episodes([folder], ReadSettings()))


def test_by_step_every_step_comes_once_an_epoch(dataset: EpisodeDataset) -> None:
    sampler = SeededSampler(dataset, seed=1)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(len(dataset)))
    assert first != second
    sampler.set_epoch(0)
    assert list(sampler) == first == list(SeededSampler(dataset, seed=1))
    assert list(SeededSampler(dataset, seed=2)) != first


def test_by_episode_all_episodes_count_alike_however_long(dataset: EpisodeDataset) -> None:
    sampler = SeededSampler(dataset, by=EPISODE, seed=1)
    assert len(list(sampler)) == len(sampler) == 2
    many = list(SeededSampler(dataset, by=EPISODE, seed=1, count=2000))
    episodes = Counter(dataset.store.locate(index)[0] for index in many)
    assert episodes == {0: 1000, 1: 1000}
    steps = {dataset.store.locate(index) for index in many}
    assert len(steps) > 0.9 * len(dataset)  # everywhere in them


def test_an_epoch_may_have_any_number_of_samples(dataset: EpisodeDataset) -> None:
    count = 2 * len(dataset) + 3
    drawn = Counter(SeededSampler(dataset, count=count))
    assert drawn.total() == count
    assert set(drawn.values()) == {2, 3}
    with pytest.raises(ValueError, match="at least one"):
        SeededSampler(dataset, count=0)
    with pytest.raises(ValueError, match="not by 'picture'"):
        SeededSampler(dataset, by="picture")


@pytest.mark.parametrize("by", [STEP, EPISODE])
def test_an_epoch_goes_on_where_it_was_interrupted(dataset: EpisodeDataset, by: str) -> None:
    sampler = SeededSampler(dataset, by, seed=3, count=50)
    epochs = [list(sampler), list(sampler)]
    resumed = SeededSampler(dataset, by, seed=3, count=50)
    resumed.set_epoch(0, drawn=33)
    assert list(resumed) == epochs[0][33:]
    assert list(resumed) == epochs[1]  # the next one is whole again
    for wrong in ((0, 51), (0, -1), (-1, 0)):
        with pytest.raises(ValueError, match="index"):
            resumed.set_epoch(*wrong)


def test_processes_that_train_together_share_an_epoch(dataset: EpisodeDataset) -> None:
    alone = list(SeededSampler(dataset, seed=3, count=50))
    shares = [SeededSampler(dataset, seed=3, count=50, rank=r, ranks=3) for r in range(3)]
    assert [len(share) for share in shares] == [16, 16, 16]
    together = zip(*shares, strict=True)
    assert [index for turn in together for index in turn] == alone[:48]
    shares[1].set_epoch(0, drawn=5)
    assert list(shares[1]) == alone[1:48:3][5:]
    for wrong in ({"rank": 3, "ranks": 3}, {"rank": -1}, {"count": 2, "ranks": 3}):
        with pytest.raises(ValueError, match="processes"):
            SeededSampler(dataset, **wrong)


def test_statistics_are_over_all_steps_and_name_joints_that_never_move(
    dataset: EpisodeDataset,
) -> None:
    found = statistics(dataset.store)
    state = torch.cat([torch.from_numpy(one.state) for one in dataset.store.episodes]).double()
    np.testing.assert_allclose(found["state"].mean, state.mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found["state"].maximum, state.max(0).values, rtol=1e-6)
    moving = [i for i, name in enumerate(found["state"].names) if "waist" not in name]
    expected = state.std(0, correction=0)[moving]
    np.testing.assert_allclose(found["state"].std[moving], expected, rtol=1e-5)
    assert found["action"].still == ("left_waist", "right_waist")
    assert found["action"].std[0] == np.float32(STD_FLOOR)
    assert found["action"].count == len(dataset)


def test_statistics_come_back_from_their_numbers(dataset: EpisodeDataset) -> None:
    found = statistics(dataset.store)["action"]
    back = Statistics.from_dict(found.as_dict())
    assert back.as_dict() == found.as_dict()
    np.testing.assert_array_equal(back.std, found.std)


def test_statistics_of_numbers_that_are_none_are_refused() -> None:
    values = np.zeros((5, 2), np.float32)
    values[3, 1] = np.nan
    with pytest.raises(EpisodeError, match="elbow has numbers that are none"):
        describe([values[:2], values[2:]], ["waist", "elbow"])
    with pytest.raises(EpisodeError, match="no step"):
        describe([values[:0]], ["waist", "elbow"])

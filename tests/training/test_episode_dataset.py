"""Samples: the state, pictures and actions that belong together, and never across a pause."""

import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from aloha_stack.episodes.alignment import AlignmentSettings, align
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.pictures import decode
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.scaled import decode_at
from aloha_stack.training import sequences
from aloha_stack.training.dataset import EpisodeDataset
from aloha_stack.training.sampling import SeededSampler, loader
from aloha_stack.training.sequences import SequenceDataset
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.store import EpisodeStore, open_episodes
from training.training_episodes import picture, write

FLAWED = ReadSettings(allowed=("good", "flawed"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes; the second has a pause from 0.6 to 0.9 s."""
    folder = tmp_path_factory.mktemp("episodes")
    write(folder, number=0)
    write(folder, number=1, seconds=1.8, pauses=[(0.6, 0.9)])
    return folder


@pytest.fixture(scope="module")
def store(folder: Path) -> EpisodeStore:
    return open_episodes([folder], ReadSettings())


def test_a_sample_is_what_alignment_says_of_its_step(folder: Path, store: EpisodeStore) -> None:
    dataset = EpisodeDataset(store, chunk=10, timing=True)
    first, second = (align(Episode(path)) for path in sorted(folder.iterdir()))
    assert len(dataset) == len(first) + len(second)
    for index, aligned, step, number in ((5, first, 5, 0), (len(first) + 30, second, 30, 1)):
        sample = dataset[index]
        assert (sample["episode"], sample["step"]) == (number, step)
        np.testing.assert_array_equal(sample["state"], aligned.state[step].astype(np.float32))
        np.testing.assert_array_equal(
            sample["action"], aligned.action[step : step + 10].astype(np.float32)
        )
        assert not sample["is_pad"].any()
        for place, camera in enumerate(("cam_high", "cam_low")):
            steps = aligned.cameras[camera]
            data = aligned.frames[camera].picture(int(steps.frame[step]))
            np.testing.assert_array_equal(sample["images"][place], decode("jpeg", data))
            assert sample["skew_s"][place] == pytest.approx(steps.skew_ns[step] * 1e-9)
        aged = store.episodes[number].aged
        ages = [aligned.joint_age_ns[topic][step] * 1e-9 for topic in aged]
        np.testing.assert_allclose(sample["age_s"], ages, rtol=1e-6)
    assert {key: value.dtype for key, value in sample.items()} == {
        **dict.fromkeys(("state", "action", "skew_s", "age_s"), torch.float32),
        **dict.fromkeys(("episode", "step"), torch.int64),
        "images": torch.uint8,
        "is_pad": torch.bool,
    }


def test_pictures_are_of_the_right_episode_camera_and_step(store: EpisodeStore) -> None:
    images = EpisodeDataset(store)[len(store.episodes[0]) + 4]["images"]
    for camera in (0, 1):
        expected = decode("jpeg", picture(number=1, camera=camera, tick=8))
        np.testing.assert_array_equal(images[camera], expected)


def test_a_chunk_ends_with_its_segment_and_repeats_the_last_action(store: EpisodeStore) -> None:
    episode = store.episodes[1]
    ends = np.flatnonzero(np.diff(episode.segment)) + 1
    assert len(ends) == 1  # the pause
    before = int(ends[0]) - 3
    sample = EpisodeDataset(store, chunk=8)[len(store.episodes[0]) + before]
    assert sample["is_pad"].tolist() == [False] * 3 + [True] * 5
    np.testing.assert_array_equal(sample["action"][:3], episode.action[before : before + 3])
    for padded in sample["action"][3:]:
        np.testing.assert_array_equal(padded, episode.action[before + 2])


def test_a_chunk_may_be_longer_than_any_episode(store: EpisodeStore) -> None:
    sample = EpisodeDataset(store, chunk=500)[0]
    steps = len(store.episodes[0])
    assert sample["action"].shape == (500, 14)
    assert int((~sample["is_pad"]).sum()) == steps
    np.testing.assert_array_equal(sample["action"][-1], store.episodes[0].action[-1])


def test_a_batch_is_its_samples(store: EpisodeStore) -> None:
    dataset = EpisodeDataset(store, chunk=6)
    batch = dataset[[3, 50, 7]]
    for place, index in enumerate([3, 50, 7]):
        for key, value in dataset[index].items():
            assert torch.equal(batch[key][place], value), key


def test_pictures_come_at_the_size_that_is_asked_for(folder: Path) -> None:
    small = open_episodes([folder], ReadSettings(image_size=(24, 32)))
    images = EpisodeDataset(small)[2]["images"]
    assert images.shape == (2, 24, 32, 3)
    np.testing.assert_array_equal(images[1], decode_at("jpeg", picture(0, 1, 4), (24, 32)))


def test_a_part_of_the_pictures_can_be_chosen(folder: Path) -> None:
    part = open_episodes([folder], ReadSettings(image_size=(24, 32), crop=(4, 6, 10, 20)))
    images = EpisodeDataset(part)[2]["images"]
    whole = decode_at("jpeg", picture(0, 1, 4), (24, 32))
    np.testing.assert_array_equal(images[1], whole[4:14, 6:26])


def test_cameras_parts_of_the_state_and_the_leaders_can_be_chosen(folder: Path) -> None:
    chosen = replace(FLAWED, cameras=("cam_low",), action="leader")
    store = open_episodes([folder], chosen)
    sample = EpisodeDataset(store, chunk=2)[2]
    np.testing.assert_array_equal(sample["images"][0], decode("jpeg", picture(0, 1, 4)))
    aligned = align(Episode(sorted(folder.iterdir())[0]))
    assert aligned.leader is not None
    np.testing.assert_array_equal(sample["action"], aligned.leader[2:4].astype(np.float32))
    with pytest.raises(EpisodeError, match=r"state left_waist_velocity is nan at step 0"):
        open_episodes([folder], ReadSettings(state=("position", "velocity")))


def test_episodes_without_leaders_stand_beside_others(tmp_path: Path) -> None:
    write(tmp_path)
    path = write(tmp_path, leaders=False)
    store = open_episodes([tmp_path], ReadSettings())
    batch = EpisodeDataset(store, timing=True)[[0, len(store) - 1]]
    assert batch["age_s"].shape == (2, 4)  # states and commands of both followers
    with pytest.raises(EpisodeError, match=f"{path} has no leader arms"):
        open_episodes([tmp_path], ReadSettings(action="leader"))


def test_within_a_segment_steps_follow_each_other(store: EpisodeStore) -> None:
    for one in store.episodes:
        within = np.diff(one.segment) == 0
        assert set(np.diff(one.time_ns)[within].tolist()) == {20_000_000}


def test_every_step_hz_gives_its_own_steps(folder: Path) -> None:
    slow = open_episodes([folder], ReadSettings(alignment=AlignmentSettings(step_hz=10.0)))
    assert np.diff(slow.episodes[0].time_ns).tolist() == [100_000_000] * (len(slow.episodes[0]) - 1)


def test_any_number_of_workers_gives_the_same_batches(store: EpisodeStore) -> None:
    dataset = EpisodeDataset(store, chunk=5)
    drawn = []
    for workers in (0, 2):
        batches = loader(dataset, SeededSampler(dataset, seed=4, count=40), 8, workers)
        drawn.append([*batches, *batches])  # two epochs
    assert len(drawn[0]) == len(drawn[1]) == 10
    for alone, together in zip(*drawn, strict=True):
        for key, value in alone.items():
            assert torch.equal(value, together[key]), key
    assert not torch.equal(drawn[0][0]["step"], drawn[0][5]["step"])  # the epochs differ


def test_a_dataset_sent_to_another_process_reads_there(store: EpisodeStore) -> None:
    dataset = EpisodeDataset(store)
    here = dataset[9]
    there = pickle.loads(pickle.dumps(dataset))[9]
    assert all(torch.equal(here[key], there[key]) for key in here)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    store = open_episodes([path], ReadSettings())
    index = store.episodes[0].cameras[1]
    with index.path.open("r+b") as file:
        file.seek(int(index.offset[6]))
        file.write(b"\0\0\0\0")
    with pytest.raises(EpisodeError, match=r"picture 6 of /cam_low/\S+ is damaged"):
        EpisodeDataset(store)[6]
    index.path.unlink()
    with pytest.raises(EpisodeError, match=r"mcap cannot be read"):
        pickle.loads(pickle.dumps(EpisodeDataset(store)))[6]


def test_sequences_are_whole_segments_padded_to_the_longest(
    store: EpisodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = partial(torch.full, fill_value=7, dtype=torch.uint8)
    monkeypatch.setattr(sequences, "empty_images", used)  # memory is not always zero
    dataset = SequenceDataset(store)
    lengths = [len(dataset[index]["state"]) for index in range(len(dataset))]
    assert len(dataset) == 3
    assert sum(lengths) == len(store)
    assert dataset.episode_of.tolist() == [0, 1, 1]
    batch = dataset[[0, 1]]
    short, longest = sorted(lengths[:2])
    padded = lengths.index(short)
    assert batch["images"].shape == (2, longest, 2, 48, 64, 3)
    assert batch["is_pad"].sum(1).tolist() == [longest - length for length in lengths[:2]]
    assert not batch["images"][padded, short:].any()
    assert torch.equal(batch["action"][padded, -1], dataset[padded]["action"][-1])
    steps = EpisodeDataset(store)
    assert torch.equal(batch["images"][0, 7], steps[7]["images"])
    assert torch.equal(dataset[2]["state"][0], steps[len(store) - lengths[2]]["state"])


def test_long_sequences_are_cut(store: EpisodeStore) -> None:
    dataset = SequenceDataset(store, length=20)
    parts = [dataset[index] for index in range(len(dataset))]
    assert max(len(part["state"]) for part in parts) == 20
    assert sum(len(part["state"]) for part in parts) == len(store)
    seen = {(int(p["episode"]), int(p["step"]) + k) for p in parts for k in range(len(p["state"]))}
    assert len(seen) == len(store)


def test_impossible_requests_are_refused(store: EpisodeStore) -> None:
    for wrong in (
        lambda: EpisodeDataset(store, chunk=0),
        lambda: SequenceDataset(store, length=0),
        lambda: ReadSettings(state=("speed",)),
        lambda: ReadSettings(action="wish"),
        lambda: ReadSettings(image_size=(0, 320)),
        lambda: ReadSettings(crop=(0, 0, 10, 10)),
        lambda: ReadSettings(image_size=(24, 32), crop=(0, 13, 24, 20)),
        lambda: ReadSettings(image_size=(24, 32), crop=(-1, 0, 10, 20)),
        lambda: ReadSettings(cameras=("cam_low", "cam_low")),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            wrong()
    for index in (-1, len(store)):
        with pytest.raises(IndexError):
            EpisodeDataset(store)[index]

"""Learning from the steps of some commanders: those of a human's corrections, say."""

from pathlib import Path

import numpy as np
import pytest

from aloha_stack.episodes.alignment import AlignedEpisode, align
from aloha_stack.episodes.commanders import HUMAN, NOBODY, POLICY
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.pictures import decode
from aloha_stack.episodes.reader import Episode
from aloha_stack.training.cache import cached
from aloha_stack.training.dataset import EpisodeDataset
from aloha_stack.training.recipes import load_recipe
from aloha_stack.training.sequences import SequenceDataset
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.statistics import statistics
from aloha_stack.training.store import EpisodeStore, open_episodes
from episodes.player_states import ticks, with_player
from training.tiny_training import tiny, train
from training.training_episodes import picture, write

PARTS = ((POLICY, 20), (NOBODY, 3), (HUMAN, 12), (NOBODY, 2), (POLICY, 10), (HUMAN, 13))
CORRECTIONS = ReadSettings(commanders=("human",))
FIRST, SECOND = range(23, 35), range(47, 59)
"""The steps that a human commands in a rollout of PARTS; the last one's action was not recorded."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rollout with two takeovers, a demonstration, and a rollout without one."""
    folder, plain = tmp_path_factory.mktemp("mixed"), tmp_path_factory.mktemp("plain")
    with_player(write(plain, number=0), folder, ticks(PARTS))
    write(folder, number=1)
    with_player(write(plain, number=2), folder, ticks([(NOBODY, 5), (POLICY, 60)]))
    return folder


@pytest.fixture(scope="module")
def corrections(folder: Path) -> EpisodeStore:
    return open_episodes([folder], CORRECTIONS)


@pytest.fixture(scope="module")
def whole(folder: Path) -> AlignedEpisode:
    return align(Episode(folder / "episode_000000"))


def test_without_being_asked_all_is_learnt_from_but_what_nobody_commanded(folder: Path) -> None:
    store = open_episodes([folder], ReadSettings())
    assert [len(one) for one in store.episodes] == [59 - 5, 59, 59 - 5]
    assert [one.left_out for one in store.episodes] == [5, 0, 5]
    assert [one.segment[-1] for one in store.episodes] == [2, 0, 0]
    assert ReadSettings().commanders == load_recipe("act_cpu").data.commanders


def test_only_the_steps_of_a_human_are_begun_from(
    corrections: EpisodeStore, whole: AlignedEpisode
) -> None:
    rollout, demonstration = corrections.episodes  # the other rollout has no correction
    steps = [*FIRST, *SECOND]
    np.testing.assert_array_equal(rollout.time_ns, whole.time_ns[steps])
    assert len(demonstration) == 59
    assert rollout.commanded == {"human": 24, "policy": 30, "nobody": 5}
    dataset = EpisodeDataset(corrections, chunk=1)
    assert len(dataset) == len(steps) + 59
    for index, step in ((0, FIRST[0]), (11, FIRST[-1]), (12, SECOND[0]), (23, SECOND[-1])):
        sample = dataset[index]
        np.testing.assert_array_equal(sample["state"], whole.state[step].astype(np.float32))
        np.testing.assert_array_equal(sample["action"][0], whole.action[step].astype(np.float32))
        shown = decode("jpeg", picture(number=0, camera=1, tick=2 * step))
        np.testing.assert_array_equal(sample["images"][1], shown)


def test_a_chunk_ends_where_another_takes_over(
    corrections: EpisodeStore, whole: AlignedEpisode
) -> None:
    dataset = EpisodeDataset(corrections, chunk=8)
    sample = dataset[8]  # four steps of the human are left
    assert sample["is_pad"].tolist() == [False] * 4 + [True] * 4
    expected = whole.action[[31, 32, 33, 34, 34, 34, 34, 34]]
    np.testing.assert_array_equal(sample["action"], expected.astype(np.float32))
    assert not dataset[12]["is_pad"].any()  # the second correction begins anew


def test_a_chunk_goes_on_from_a_policy_to_a_human_where_both_are_learnt_from(
    folder: Path, whole: AlignedEpisode
) -> None:
    """At step 47, without a hold between."""
    dataset = EpisodeDataset(open_episodes([folder], ReadSettings()), chunk=8)
    sample = dataset[45 - 5]
    assert not sample["is_pad"].any()
    np.testing.assert_array_equal(sample["action"], whole.action[45:53].astype(np.float32))


def test_each_correction_is_a_sequence_of_its_own(corrections: EpisodeStore) -> None:
    dataset = SequenceDataset(corrections)
    assert [len(dataset[index]["state"]) for index in range(len(dataset))] == [12, 12, 59]


def test_statistics_are_those_of_what_is_learnt_from(
    corrections: EpisodeStore, whole: AlignedEpisode
) -> None:
    found = statistics(EpisodeStore(corrections.episodes[:1], CORRECTIONS))["action"]
    assert found.count == 24
    mean = whole.action[[*FIRST, *SECOND]].mean(axis=0)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-5, atol=1e-7)


def test_selections_share_a_cache_without_driving_each_other_out(
    folder: Path, corrections: EpisodeStore, tmp_path: Path
) -> None:
    for store in (corrections, open_episodes([folder], ReadSettings()), corrections):
        shown = EpisodeDataset(cached(store, tmp_path))[12]["images"]
        assert shown.equal(EpisodeDataset(store)[12]["images"])
    names = sorted(file.name[:14] for file in tmp_path.glob("*.npy"))
    assert names == ["episode_000000"] * 2 + ["episode_000001", "episode_000002"]


def test_nothing_of_the_wanted_commanders_is_said(folder: Path) -> None:
    with pytest.raises(EpisodeError, match=r"commanded by human \(.*: policy 54, nobody 5\)"):
        open_episodes([folder / "episode_000002"], CORRECTIONS)
    for wrong in ((), ("operator",), ("human", "human")):
        with pytest.raises(ValueError, match="some of nobody, policy, human, each once"):
            ReadSettings(commanders=wrong)


def test_a_training_on_corrections_says_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"data.commanders": "[human]", "training.steps": 2, "data.validation": 0}
    train(tiny(folder, tmp_path / "out", changes=changes))
    card = (tmp_path / "out/CARD.md").read_text()
    assert "| commanded by | human 83, policy 30, nobody 5 (steps); learnt from: human |" in card
    assert "2 episodes (83 steps) to learn from, 0 to validate with; 1 without a step of" in card
    said = capsys.readouterr().out
    assert "learnt from steps of human (recorded: human 83, policy 30, nobody 5)" in said
    assert "1 episodes without one left out" in said

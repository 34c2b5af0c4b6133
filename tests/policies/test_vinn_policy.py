"""VINN: who is near, how much each counts, and what comes of it.

Regressions pinned, of code by others: weights of unsorted distances; encoding with a batch norm in
training mode at a batch of one; pictures normalised twice.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.policies import vinn_search
from aloha_stack.policies.checkpoint import CheckpointError, load
from aloha_stack.policies.encoders import Encoder, EncoderConfig
from aloha_stack.policies.normalisation import IMAGENET_MEAN, IMAGENET_STD
from aloha_stack.policies.policy import Observation, Policy, PolicyError
from aloha_stack.policies.vinn import VinnPolicy, neighbour_weights
from aloha_stack.policies.vinn_config import VinnConfig
from aloha_stack.policies.vinn_index import Index, Source, check_sources, joined
from aloha_stack.policies.vinn_search import FaissSearch, NumpySearch, find, search_of
from policies import small_vinn as small
from policies.policy_conformance import PolicyConformance, seen


class TestVinnConforms(PolicyConformance):
    def policy(self) -> Policy:
        return small.policy()

    def reloaded(self, policy: Policy, folder: Path) -> Policy:
        assert isinstance(policy, VinnPolicy)
        return small.reloaded(policy, folder)


class TestVinnThatFollowsConforms(TestVinnConforms):
    def policy(self) -> Policy:
        return small.policy(every=4, apart=True)


def at(row: int, stamp_ns: int = 0) -> Observation:
    """What was there at a row of the small index."""
    return Observation(small.joints(sum(small.ROWS))[row], small.pictures(row), stamp_ns)


# -- neighbours ---------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [0, 11, 12, 30])
def test_a_demonstrations_step_finds_itself_and_says_what_was_done_there(row: int) -> None:
    policy = small.policy(neighbours=1)
    chunk = policy.act(at(row))
    assert policy.neighbours is not None
    assert policy.neighbours.rows.tolist() == [row]
    assert policy.distance < 1e-3
    last = int(policy.index.segments[row]) - 1
    wanted = np.minimum(np.arange(row, row + 5), last) / 50  # the last of its episode is repeated
    assert np.allclose(chunk[:, 0], wanted, atol=1e-6)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 7),
    st.sampled_from([0.0, 0.3, 10.0]),
    st.booleans(),
    st.sampled_from([NumpySearch, FaissSearch]),
)
def test_the_search_finds_what_comparing_with_every_row_finds(
    seed: int, count: int, weight: float, apart: bool, kind: type
) -> None:
    index, embedding, joints = random_index(seed)
    found = find(index, kind(index.embeddings), embedding, joints, weight, count, apart)
    query = embedding.astype(np.float16).astype(np.float64)
    visual = np.sqrt(((index.embeddings.astype(np.float64) - query) ** 2).sum(axis=1))
    joint = np.sqrt(((index.joints - joints.astype(np.float64)) ** 2).sum(axis=1))
    total = visual + weight * joint
    order = np.argsort(total, kind="stable")
    if apart:
        _, firsts = np.unique(index.episode_of(order), return_index=True)
        order = order[np.sort(firsts)]
    assert np.allclose(found.total, total[order][:count], rtol=1e-6)
    assert np.allclose(found.total, found.visual + weight * found.joints)
    assert (np.diff(found.total) >= 0).all()


def random_index(seed: int) -> tuple[Index, np.ndarray, np.ndarray]:
    """500 rows of ten episodes, and something to ask for."""
    noise = np.random.default_rng(seed)
    sources = tuple(Source(f"episode_{n}", n, 50, str(n)) for n in range(10))
    index = Index(
        noise.normal(size=(500, 8)).astype(np.float16),
        noise.normal(size=(500, 14)).astype(np.float32),
        np.zeros((500, 14), np.float32),
        np.repeat(np.arange(50, 501, 50), 50),
        sources,
    )
    return index, noise.normal(size=8).astype(np.float32), noise.normal(size=14).astype(np.float32)


def test_a_large_index_is_searched_where_it_lies(tmp_path: Path) -> None:
    """faiss looks at the mapped file itself: what changes there changes what is found."""
    rows = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float16)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r+")
    search = FaissSearch(mapped)
    query = np.full(16, 3.0, np.float32)
    before = search.nearest(query, 1)[0]
    mapped[(before + 1) % 200] = 3.0
    assert search.nearest(query, 1)[0] == (before + 1) % 200


def test_the_size_chooses_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.zeros((100, 8), np.float16)
    assert isinstance(search_of(rows), NumpySearch)
    monkeypatch.setattr(vinn_search, "SMALL_BYTES", rows.nbytes - 1)
    assert isinstance(search_of(rows), FaissSearch)


def test_joints_alone_need_no_camera(tmp_path: Path) -> None:
    policy = small.policy(features="joints", encoder=None, dims=None, neighbours=1)
    assert policy.spec.cameras == ()
    state = small.joints(sum(small.ROWS))[5]
    chunk = policy.act(Observation(state, {}))
    assert np.allclose(chunk[:, 3], np.arange(5, 10) / 50)


# -- weights ------------------------------------------------------------------------------------


@given(
    st.lists(st.floats(0, 1e4), min_size=1, max_size=30).map(sorted),
    st.floats(0.01, 100),
)
def test_weights_are_the_softmax_of_distances_in_double_precision(
    distances: list[float], temperature: float
) -> None:
    weights = neighbour_weights(np.array(distances), temperature)
    wanted = torch.softmax(-torch.tensor(distances, dtype=torch.float64) / temperature, 0).numpy()
    assert weights.dtype == np.float64
    assert np.allclose(weights, wanted, rtol=1e-12, atol=1e-300)
    assert (np.diff(weights) <= 0).all()


@pytest.mark.parametrize("distances", [[2.0, 1.0], [0.0, np.nan], [1.0, np.inf], []])
def test_distances_in_another_order_than_their_neighbours_have_no_weights(
    distances: list[float],
) -> None:
    with pytest.raises(ValueError, match="rising order"):
        neighbour_weights(np.array(distances))


def test_each_neighbours_actions_have_the_weight_of_its_own_distance() -> None:
    """All k, not only one: the sum is made by hand, in double precision, from every row."""
    policy = small.policy(neighbours=4, temperature=0.2)
    observation = seen(policy, 3)
    chunk = policy.act(observation)
    found = policy.neighbours
    assert found is not None
    joint = np.linalg.norm(policy.index.joints - observation.state.astype(np.float64), axis=1)
    assert np.allclose(found.joints, joint[found.rows], rtol=1e-6)
    total = found.visual + policy.config.joint_weight * joint[found.rows]
    shares = np.exp(-total / 0.2) / np.exp(-total / 0.2).sum()
    wanted = sum(
        share * policy.index.chunk(int(row), 5).astype(np.float64)
        for share, row in zip(shares, found.rows, strict=True)
    )
    assert np.allclose(chunk, wanted, atol=1e-6)


def test_a_low_temperature_comes_to_the_nearest_alone() -> None:
    one, many = small.policy(neighbours=1), small.policy(neighbours=5, temperature=1e-4)
    assert np.allclose(one.act(seen(one)), many.act(seen(many)), atol=1e-6)


# -- encoding -----------------------------------------------------------------------------------


def test_encoding_is_the_same_alone_as_among_others_and_in_training_mode() -> None:
    config = VinnConfig(features="random", encoder=EncoderConfig("resnet18"), grid=(1, 1))
    made = small.embedding(replace(config, dims=None))
    for module in made.modules():  # as if it had learnt
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.fill_(0.1)  # type: ignore[union-attr]
            module.running_var.fill_(2.0)  # type: ignore[union-attr]
    seen = {
        name: torch.from_numpy(np.stack([small.pictures(row)[name] for row in range(3)])).permute(
            0, 3, 1, 2
        )
        for name in small.CAMERAS
    }
    together = made(seen)
    made.train()
    alone = made({name: batch[1:2] for name, batch in seen.items()})
    assert torch.allclose(alone, together[1:2], atol=1e-4)


def test_pictures_are_normalised_once() -> None:
    encoder = Encoder(EncoderConfig("light", stages=(8,), norm_groups=4))
    caught = []
    encoder.backbone.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    picture = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    encoder(picture)
    wanted = (1 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    assert torch.allclose(caught[0][0, :, 0, 0], wanted, atol=1e-5)


# -- following ----------------------------------------------------------------------------------


def test_neighbours_are_followed_for_as_many_steps_as_told() -> None:
    policy = small.policy(neighbours=1, every=3, chunk=6, blend=0)
    assert policy.spec.stateful
    step = 20_000_000
    first = policy.act(at(2, 0))
    second = policy.act(at(20, step))  # another picture: still the way that was begun
    third = policy.act(at(20, 2 * step))
    assert np.allclose(second[:5], first[1:])
    assert np.allclose(third[:4], first[2:])
    assert policy.neighbours is not None
    assert policy.neighbours.rows[0] == 20  # how far it is, is told all the time
    fourth = policy.act(at(20, 3 * step))
    assert np.allclose(fourth[0], 20 / 50)


def test_new_neighbours_take_over_smoothly() -> None:
    policy = small.policy(neighbours=1, every=2, chunk=6, blend=4)
    before = policy.act(at(0, 0))
    after = policy.act(at(12, 40_000_000))[:, 0]
    old, new = before[2:, 0], np.arange(12, 18) / 50
    share = (after[:4] - old[:4]) / (new[:4] - old[:4])
    assert (np.diff([0, *share, 1]) > 0).all()
    assert share[0] < 0.1
    assert np.allclose(after[4:], new[4:])


def test_options_change_what_is_near_and_who_acts() -> None:
    policy = small.policy()
    policy.adjust("neighbours", "1")
    policy.adjust("joint_weight", "1e6")
    state = small.joints(sum(small.ROWS))[7]
    policy.act(replace(seen(policy), state=state))
    assert policy.neighbours is not None
    assert policy.neighbours.rows.tolist() == [7]
    policy.adjust("every", "5")
    assert policy.spec.stateful
    with pytest.raises(PolicyError, match="neighbours: expected"):
        policy.adjust("neighbours", "0")
    with pytest.raises(PolicyError, match="no option 'k'"):
        policy.adjust("k", "1")
    with pytest.raises(PolicyError, match="every: expected at most chunk"):
        policy.adjust("every", "6")


# -- what is refused ----------------------------------------------------------------------------


def test_more_neighbours_than_there_are_steps_are_refused() -> None:
    with pytest.raises(PolicyError, match="32 neighbours; the index has 31 steps"):
        small.policy(neighbours=32)
    with pytest.raises(PolicyError, match="4 neighbours; the index has 3 episodes"):
        small.policy(neighbours=4, apart=True)


def test_an_empty_index_is_refused() -> None:
    none = np.zeros((0, 14), np.float32)
    with pytest.raises(PolicyError, match="empty"):
        Index(np.zeros((0, 4), np.float16), none, none, np.zeros(0, np.int64), ())


def test_an_episode_that_is_there_twice_is_refused_by_name() -> None:
    twice = Source("episode_000007", 0, 5, "same")
    with pytest.raises(PolicyError, match=r"episode_000009 .* episode_000007"):
        check_sources([twice, replace(twice, name="episode_000009")])
    policy = small.policy()
    with pytest.raises(PolicyError, match="episode_000000"):
        joined(policy.index, policy.index)


@pytest.mark.parametrize("file", ["embeddings.npy", "actions.npy", "episodes.json"])
@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_a_damaged_or_missing_index_is_refused_by_its_files_name(
    file: str, harm: str, tmp_path: Path
) -> None:
    folder = small.saved(small.policy(), tmp_path / "model")
    path = next(folder.glob(f"index-*/{file}"))
    if harm == "missing":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with pytest.raises(CheckpointError, match=rf"{file}: {harm}"):
        load(folder)


def test_an_index_of_another_encoder_is_refused(tmp_path: Path) -> None:
    folder = small.saved(small.policy(), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["config"]["index"]["encoder"] = "0" * 64
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="another encoder"):
        load(folder)


def test_an_index_outside_of_the_checkpoint_is_not_read(tmp_path: Path) -> None:
    folder = small.saved(small.policy(), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["config"]["index"]["folder"] = "../elsewhere"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="is no index"):
        load(folder)

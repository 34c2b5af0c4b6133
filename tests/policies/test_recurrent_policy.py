"""Recurrent networks as policies: what every policy holds, and what only those with a memory do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aloha_stack.policies.checkpoint import CheckpointError, load, save
from aloha_stack.policies.min_max import min_max
from aloha_stack.policies.normalisation import NormalisationError
from aloha_stack.policies.options import options_of
from aloha_stack.policies.policy import NAMES, ChunkError, Observation, Policy, PolicyError
from aloha_stack.policies.recurrent_networks import config_of, network_of
from aloha_stack.policies.recurrent_policy import RecurrentPolicy, chunk_rows
from policies import small_recurrent as small
from policies.policy_conformance import PolicyConformance, seen

RIGHT = slice(7, 14)
TICK_NS = 20_000_000


class RecurrentConformance(PolicyConformance):
    kind = ""

    def policy(self) -> Policy:
        return small.policy(self.kind)

    def reloaded(self, policy: Policy, folder: Path) -> Policy:
        assert isinstance(policy, RecurrentPolicy)
        return small.reloaded(policy, folder)


class TestEachLayerLstmWithPoints(RecurrentConformance):
    kind = "points"


class TestEachLayerLstmWithMlp(RecurrentConformance):
    kind = "mlp"


class TestConventionalLstm(RecurrentConformance):
    kind = "conventional"


class TestCropped(RecurrentConformance):
    """What is seen is a part of the picture."""

    def policy(self) -> Policy:
        return small.policy("points", crop=(10, 12, 16, 24))


class TestCnnRnn(RecurrentConformance):
    kind = "cnnrnn"


class TestCnnRnnLn(RecurrentConformance):
    kind = "cnnrnnln"


class TestCaeRnn(RecurrentConformance):
    kind = "cae_rnn"


class TestSarnn(RecurrentConformance):
    kind = "sarnn"


def episode(policy: Policy, ticks: int = 6) -> list[Observation]:
    """Observations a tick apart, from some time on."""
    return [
        replace(seen(policy, 10 + tick), stamp_ns=10**12 + tick * TICK_NS) for tick in range(ticks)
    ]


def played(policy: RecurrentPolicy, observations: list[Observation]) -> np.ndarray:
    """Chunks of a new episode."""
    policy.reset()
    return np.stack([policy.act(one) for one in observations])


# -- chunks ---------------------------------------------------------------------------------


def test_rows_are_the_step_before_and_the_next_step_which_then_is_held() -> None:
    policy = small.policy("points")
    chunks = played(policy, episode(policy))
    assert np.array_equal(chunks[1:, 0, RIGHT], chunks[:-1, 1, RIGHT])
    assert np.array_equal(chunks[0, 0], chunks[0, 1])
    assert (chunks[:, 2:] == chunks[:, 1:2]).all()
    assert (np.diff(chunks[:, 1, RIGHT], axis=0) != 0).all()


def test_the_other_arm_holds_where_it_was_at_the_first_observation() -> None:
    policy = small.policy("points")
    observations = episode(policy)
    chunks = played(policy, observations)
    assert (chunks[:, :, :7] == observations[0].state[:7]).all()
    policy.reset()
    assert (policy.act(observations[2])[:, :7] == observations[2].state[:7]).all()


@pytest.mark.parametrize(("arms", "columns"), [(("left",), slice(0, 7)), ((), slice(0, 14))])
def test_the_arms_of_the_config_are_those_that_move(
    arms: tuple[str, ...], columns: slice, tmp_path: Path
) -> None:
    moved = NAMES[columns]
    network = small.network("points", arms=arms, joints=len(moved))
    bounds = {"names": list(moved), "minimum": [-1.0] * len(moved), "maximum": [2.0] * len(moved)}
    policy = RecurrentPolicy(
        small.spec("points", network.config), network, min_max(bounds, moved, (0.0, 1.0))
    )
    observations = episode(policy)
    chunks = played(policy, observations)
    still = [k for k in range(14) if NAMES[k] not in moved]
    assert (chunks[:, :, still] == observations[0].state[still]).all()
    assert (chunks[:, 1, columns] != observations[0].state[columns]).all()


def test_what_the_network_says_is_in_the_units_of_the_bounds() -> None:
    """0 is the least that a joint was, 1 the greatest."""
    made = small.policy("points")
    output = made.network.get_submodule("output")
    for said, key in ((0.0, "minimum"), (1.0, "maximum")):
        torch.nn.init.zeros_(output.weight)  # type: ignore[arg-type]
        torch.nn.init.constant_(output.bias, said)  # type: ignore[arg-type]
        policy = RecurrentPolicy(made.spec, made.network, made.joints)
        chunk = played(policy, episode(policy, 1))[0]
        np.testing.assert_allclose(chunk[:, RIGHT], np.tile(small.JOINTS[key], (6, 1)), atol=1e-6)


@pytest.mark.parametrize(("rate_hz", "rows"), [(50.0, 11), (10.0, 5)])
def test_a_chunk_bridges_a_tenth_of_a_second_without_inference(rate_hz: float, rows: int) -> None:
    assert chunk_rows(rate_hz) == rows


# -- memory ---------------------------------------------------------------------------------


def test_chunks_depend_on_what_came_before_and_only_on_that_since_reset() -> None:
    policy = small.policy("points")
    observations = episode(policy)
    chunks = played(policy, observations)
    policy.reset()
    alone = policy.act(observations[-1])
    assert not np.array_equal(alone[1:], chunks[-1, 1:])


def test_steps_are_those_of_the_network_over_the_whole_sequence() -> None:
    policy = small.policy("points")
    observations = episode(policy)
    chunks = played(policy, observations)
    states = np.stack([one.state[RIGHT] for one in observations])
    pictures = np.stack([one.images["cam_high"] for one in observations])
    with torch.inference_mode():
        predicted, _ = policy.network(
            torch.from_numpy(pictures).permute(0, 3, 1, 2)[None] / 255,
            policy.joints(torch.from_numpy(states))[None],
        )
        expected = policy.joints.inverse(predicted.joints[0]).numpy()
    np.testing.assert_allclose(chunks[:, 1, RIGHT], expected, atol=1e-5)


def test_another_observation_of_a_step_takes_the_place_of_the_one_before() -> None:
    """Cameras of 60 Hz, or a second look, must not make the network's time run faster."""
    policy = small.policy("points")
    observations = episode(policy)
    expected = played(policy, observations)
    policy.reset()
    for number, one in enumerate(observations):
        other = replace(seen(policy, 99), stamp_ns=one.stamp_ns)
        policy.act(other)
        again = policy.act(replace(one, stamp_ns=one.stamp_ns + TICK_NS // 2))
        assert np.array_equal(again[:, RIGHT], expected[number][:, RIGHT])


def test_stamps_that_jitter_are_steps_all_the_same() -> None:
    policy = small.policy("points")
    observations = episode(policy, 20)
    expected = played(policy, observations)
    noise = np.random.default_rng(0).integers(-4_000_000, 4_000_000, 20)
    noise[0] = 0
    late = [
        replace(one, stamp_ns=one.stamp_ns + int(n))
        for one, n in zip(observations, noise, strict=True)
    ]
    assert np.array_equal(played(policy, late), expected)


def test_steps_without_an_observation_are_made_good_with_joints_in_between() -> None:
    policy = small.policy("points")
    one, two, _, _, five = episode(policy, 5)
    between = [
        replace(
            five,
            state=two.state + np.float32(part) * (five.state - two.state),
            stamp_ns=two.stamp_ns + k * TICK_NS,
        )
        for k, part in ((1, 1 / 3), (2, 2 / 3))
    ]
    expected = played(policy, [one, two, *between, five])[-1]
    assert np.allclose(played(policy, [one, two, five])[-1, 1:], expected[1:], atol=1e-6)
    many = replace(five, stamp_ns=five.stamp_ns + 3_600 * 10**9)
    assert np.isfinite(played(policy, [one, two, many])).all()


def test_a_network_that_gives_no_numbers_is_an_error_and_no_memory() -> None:
    policy = small.policy("points")
    first, second, *_ = episode(policy)
    expected = played(policy, [first, second])[1]
    policy.reset()
    policy.act(first)
    bias = policy._acting.get_submodule("output").bias
    kept = bias.detach().clone()  # type: ignore[operator]
    with torch.no_grad():
        bias[3] = torch.nan  # type: ignore[index]
    with pytest.raises(ChunkError, match="right_forearm_roll, first at row 1"):
        policy.act(second)
    with torch.no_grad():
        bias.copy_(kept)  # type: ignore[operator]
    assert np.array_equal(policy.act(second), expected)


# -- input_param ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", small.SIZES)
def test_with_input_param_the_network_sees_a_part_of_what_it_expected(kind: str) -> None:
    part = 0.6
    policy = small.policy(kind, input_param=part)
    observations = episode(policy, 4)
    chunks = played(policy, observations)
    memory = before = None
    for number, one in enumerate(observations):
        image = torch.from_numpy(one.images["cam_high"]).permute(2, 0, 1)[None] / 255
        joints = policy.joints(torch.from_numpy(one.state[RIGHT])[None])
        if before is not None:
            joints = part * joints + (1 - part) * before.joints
            if before.image is not None:
                image = part * image + (1 - part) * before.image
        with torch.inference_mode():
            before, memory = policy.network.step(image, joints, memory)
            expected = policy.joints.inverse(before.joints)[0].numpy()
        np.testing.assert_allclose(chunks[number, 1, RIGHT], expected, atol=1e-5)


def test_at_0_the_robot_is_looked_at_once() -> None:
    policy = small.policy("cnnrnn", input_param=0.0)
    observations = episode(policy)
    others = [
        observations[0],
        *(replace(seen(policy, 77), stamp_ns=one.stamp_ns) for one in observations[1:]),
    ]
    assert np.array_equal(played(policy, observations), played(policy, others))


def test_input_param_is_an_option_of_the_policy(tmp_path: Path) -> None:
    policy = small.reloaded(
        small.policy("points"), tmp_path / "model", **options_of("input_param=0.8")
    )
    assert policy.input_param == 0.8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input_param=1.5", "input_param: expected a number of 0 … 1, found '1.5'"),
        ("input_param=nan", "found 'nan'"),
        ("input_param=much", "found 'much'"),
        ("input_parm=0.8", "no option 'input_parm'; there is input_param"),
        ("input_param", "expected NAME=VALUE"),
        ("input_param=1,input_param=0", "each name once"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(
    tmp_path: Path, text: str, message: str
) -> None:
    save(tmp_path / "model", small.checkpoint(small.policy("points")), "# A test\n")
    with pytest.raises(PolicyError, match=message):
        load(tmp_path / "model", options=options_of(text))


# -- what does not belong together ----------------------------------------------------------


def test_a_joint_that_never_moved_divides_by_nothing() -> None:
    bounds = {"minimum": [0.5, -1.0], "maximum": [0.5, 1.0]}
    joints = min_max(bounds, ("still", "moved"), (0.0, 1.0))
    said = joints(torch.tensor([[0.5, 0.0], [0.75, 1.0]]))
    torch.testing.assert_close(said, torch.tensor([[0.0, 0.5], [0.25, 1.0]]))
    torch.testing.assert_close(joints.inverse(said), torch.tensor([[0.5, 0.0], [0.75, 1.0]]))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "no usable minimum"),
        ({"minimum": [0.0], "maximum": [1.0]}, "expected .2,."),
        ({"minimum": [0.0, 1.0], "maximum": [1.0, 0.0]}, "maximum of b are no bounds"),
        ({"minimum": [0.0, np.nan], "maximum": [1.0, 0.0]}, "maximum of b are no bounds"),
        ({"names": ["b", "a"], "minimum": [0, 0], "maximum": [1, 1]}, "expected those of"),
    ],
)
def test_bounds_that_are_none_are_refused(bounds: dict[str, Any], message: str) -> None:
    with pytest.raises(NormalisationError, match=message):
        min_max(bounds, ("a", "b"), (0.0, 1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cameras": ("cam_high", "cam_low")}, "2 cameras; a recurrent network looks through one"),
        ({"image_size": (64, 64)}, "the network sees 16×24 px .*the spec's pictures have 64×64"),
        ({"image_size": None}, "any size"),
        ({"stateful": False}, "stateful False"),
        ({"chunk": 1}, "chunk 1"),
        ({"state_names": NAMES[:7], "action_names": NAMES[:7]}, "lacks right_waist"),
    ],
)
def test_a_network_of_another_spec_is_refused(change: dict[str, Any], message: str) -> None:
    made = small.policy("points")
    with pytest.raises(PolicyError, match=message):
        RecurrentPolicy(replace(made.spec, **change), made.network, made.joints)


def test_a_checkpoint_of_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    parts = small.checkpoint(small.policy("points"))
    for number, (other, message) in enumerate(
        (
            (replace(parts, weights=small.network("mlp").state_dict()), "missing: encoder.maps"),
            (
                replace(parts, config={**parts.config, "hidden": 9}),
                "of another shape: layers.0.weight_ih",
            ),
            (replace(parts, spec=replace(parts.spec, policy="sarnn")), "config: unknown: encoder"),
            (replace(parts, statistics={}), "statistics of joints: no usable"),
        )
    ):
        save(tmp_path / str(number), other, "# A test\n")
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path / str(number))


def test_an_auto_encoder_alone_does_not_act(tmp_path: Path) -> None:
    config = config_of("cae", {"image_size": (32, 32)})
    spec = replace(small.policy("cae_rnn").spec, policy="cae")
    weights = network_of("cae", config).state_dict()
    parts = replace(
        small.checkpoint(small.policy("cae_rnn")),
        spec=spec,
        config=config.as_dict(),
        weights=weights,
    )
    save(tmp_path, parts, "# A test\n")
    with pytest.raises(CheckpointError, match="it does not act itself"):
        load(tmp_path)

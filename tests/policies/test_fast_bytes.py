"""Products of bytes are nearly those of the numbers, and never pretend to be numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from aloha_stack.policies import act_policy, fast_bytes
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.act_policy import ActPolicy
from aloha_stack.policies.fast_act import FastAct
from aloha_stack.policies.fast_bytes import (
    ByteConvolution,
    ByteLinear,
    convolution,
    linear,
    multiplies_bytes,
    numbers,
)
from aloha_stack.policies.fast_layers import NONE, RELU
from aloha_stack.policies.options import FAST, INT8
from aloha_stack.policies.policy import ChunkError, Policy
from policies import small_act
from policies.policy_conformance import PolicyConformance, seen

RESNET = replace(small_act.CONFIG, backbone="resnet18")
CONFIGS = {
    "light": small_act.CONFIG,
    "resnet18": RESNET,
    "norm first": replace(RESNET, pre_norm=True, activation="gelu"),
    "first decoder layer only": replace(RESNET, first_layer_only=True),
}
CLOSE = 0.02
"""Root mean square beside that of the numbers: steps of a 127th of the largest, which is some times
the usual one, of weights and of what comes in."""

pytestmark = pytest.mark.skipif(
    not multiplies_bytes(torch.device("cpu")), reason="this processor does not multiply bytes"
)


@pytest.fixture
def all_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_bytes, "HEAVY", 0)
    monkeypatch.setattr(fast_bytes, "OFTEN", 0)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def apart(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


@pytest.mark.parametrize("after", [NONE, RELU, "gelu"])
@pytest.mark.parametrize("signed", [True, False])
def test_a_linear_layer_is_nearly_that_of_the_numbers(signed: bool, after: str) -> None:
    weight, bias, x = drawn(48, 96), 3 * drawn(48, seed=1), drawn(10, 96, seed=2)
    x = (x if signed else x.abs()).bfloat16()
    expected = F.linear(x.float(), weight, bias)
    expected = {NONE: expected, RELU: expected.relu(), "gelu": F.gelu(expected)}[after]
    found = ByteLinear(weight, bias, 10, after)(x)
    assert found.dtype == torch.bfloat16
    assert 0 < apart(found, expected) < CLOSE


def test_what_is_added_to_a_linear_layer_is_added_to_it() -> None:
    weight, x, added = drawn(48, 96), drawn(10, 96, seed=2), 9 * drawn(10, 48, seed=3)
    found = ByteLinear(weight, None, 10)(x.bfloat16(), added.bfloat16())
    assert apart(found, F.linear(x, weight) + added) < CLOSE


@pytest.mark.parametrize(("stride", "padding", "kernel"), [(1, 1, 3), (2, 1, 3), (2, 0, 1)])
def test_a_convolution_is_nearly_that_of_the_numbers(
    stride: int, padding: int, kernel: int
) -> None:
    weight, bias = drawn(24, 16, kernel, kernel), drawn(24, seed=1)
    x = drawn(2, 16, 9, 12, seed=2).relu()
    lying = x.bfloat16().contiguous(memory_format=torch.channels_last)
    expected = F.conv2d(x, weight, bias, stride, padding)
    layer = ByteConvolution(weight, bias, (stride, stride), padding, (2, 9, 12), RELU)
    assert (2, *expected.shape[2:]) == layer.size
    assert 0 < apart(layer(lying), expected.relu()) < CLOSE
    added = drawn(*expected.shape, seed=3)
    place = added.bfloat16().contiguous(memory_format=torch.channels_last)
    found = layer(lying, place)
    assert apart(found, (expected + added).relu()) < CLOSE
    torch.testing.assert_close(found, place, rtol=0, atol=0)


def test_outputs_with_small_weights_are_as_exact_as_others() -> None:
    weight, x = drawn(48, 96), drawn(10, 96, seed=2)
    weight[7] *= 1e-4
    found = ByteLinear(weight, None, 10)(x.bfloat16())
    assert apart(found[:, 7], F.linear(x, weight)[:, 7]) < CLOSE


def test_the_same_input_gives_the_same_whatever_came_before() -> None:
    layer = ByteLinear(drawn(48, 96), None, 10)
    one, larger = drawn(10, 96, seed=1).bfloat16(), 1e4 * drawn(10, 96, seed=2).bfloat16()
    before = layer(one).clone()
    assert layer(larger).abs().max() > 1e4
    torch.testing.assert_close(layer(one), before, rtol=0, atol=0)


def test_where_nothing_comes_in_only_the_bias_comes_out() -> None:
    bias = drawn(48)
    found = ByteLinear(drawn(48, 96), bias, 10)(torch.zeros(10, 96, dtype=torch.bfloat16))
    torch.testing.assert_close(found, bias.bfloat16().expand(10, -1))
    maps = torch.zeros(1, 16, 4, 4, dtype=torch.bfloat16)
    maps = maps.contiguous(memory_format=torch.channels_last)
    layer = ByteConvolution(drawn(48, 16, 3, 3), bias, (1, 1), 1, (1, 4, 4))
    torch.testing.assert_close(layer(maps), bias.bfloat16()[:, None, None].expand(1, -1, 4, 4))


@pytest.mark.parametrize("after", [NONE, RELU])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_no_number_is_refused(bad: float, after: str) -> None:
    """oneDNN's ReLU makes 0 of NaN: an overflow would give a chunk of finite numbers."""
    x = drawn(10, 96).bfloat16()
    x[3, 4] = bad
    with pytest.raises(ChunkError, match="a layer of the network was given numbers from"):
        ByteLinear(drawn(48, 96), None, 10, after)(x)
    if bad < 0:
        return  # convolutions get none: what comes in has no negative numbers
    maps = drawn(1, 16, 4, 4).relu().bfloat16().contiguous(memory_format=torch.channels_last)
    maps[0, 3, 2, 1] = bad
    layer = ByteConvolution(drawn(48, 16, 3, 3), None, (1, 1), 1, (1, 4, 4), after)
    with pytest.raises(ChunkError):
        layer(maps)


def test_only_heavy_layers_multiply_bytes() -> None:
    """Of ACT of the paper's size: the encoder's; not its outputs' nor the decoder's."""
    kinds = {
        (rows, *shape): type(linear(torch.zeros(shape), None, rows, torch.int8)).__name__
        for rows, shape in [
            (1202, (3200, 512)),
            (1202, (512, 3200)),
            (1202, (1024, 512)),
            (1202, (512, 512)),
            (100, (3200, 512)),
        ]
    }
    assert list(kinds.values()) == ["ByteLinear"] * 3 + ["Linear"] * 2
    of_maps = [
        type(convolution(torch.zeros(shape), None, (2, 2), pad, (4, 120, 160), torch.int8)).__name__
        for shape, pad in [((128, 64, 3, 3), 1), ((128, 64, 1, 1), 0)]
    ]
    assert of_maps == ["ByteConvolution", "Convolution"]
    assert numbers(torch.int8) == torch.bfloat16
    assert numbers(torch.float32) == torch.float32


@pytest.mark.usefixtures("all_heavy")
@pytest.mark.parametrize("name", CONFIGS)
def test_a_network_of_bytes_is_nearly_the_network(name: str) -> None:
    """In units of the actions' spread."""
    config = CONFIGS[name]
    network, one = small_act.network(config).eval(), seen(small_act.policy(config))
    pictures = [torch.from_numpy(image) for image in one.images.values()]
    state = torch.from_numpy(one.state)
    with torch.inference_mode():
        views = torch.stack(pictures).permute(0, 3, 1, 2)[None]
        expected = network(views, state[None]).action[0]
    found, of_floats = (
        FastAct(network, 32, 48, kind)(pictures, state) for kind in (torch.int8, torch.bfloat16)
    )
    assert not torch.equal(found, of_floats)
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_without_such_a_processor_it_is_the_fast_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(act_policy, "multiplies_bytes", lambda device: False)
    one, other = policy_of(RESNET, INT8), policy_of(RESNET, FAST)
    np.testing.assert_array_equal(one.act(seen(one)), other.act(seen(one)))


@pytest.mark.usefixtures("all_heavy")
class TestByteAct(PolicyConformance):
    def policy(self) -> Policy:
        return policy_of(RESNET, INT8)

    def reloaded(self, policy: Policy, folder: Path) -> Policy:
        assert isinstance(policy, ActPolicy)
        return small_act.reloaded(policy, folder, INT8)


def policy_of(config: ActConfig, backend: str) -> ActPolicy:
    plain = small_act.policy(config)
    return ActPolicy(plain.spec, plain.network, plain.state, plain.action, backend=backend)

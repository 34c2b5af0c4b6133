"""Every weight of the network counts in its fast form as much as in itself, and no part of the fast
form could be wrong without the comparison of both telling so."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from aloha_stack.policies import fast_act, fast_act_transformer, fast_layers
from aloha_stack.policies.act import Act
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.backbones import FrozenBatchNorm
from aloha_stack.policies.fast_act import FastAct
from aloha_stack.policies.fast_act_backbones import shrunk
from policies import small_act

LIGHT = replace(small_act.CONFIG, camera_embedding=True)
NORM_FIRST = replace(LIGHT, pre_norm=True, activation="gelu")
RESNET = replace(small_act.CONFIG, backbone="resnet18", encoder_layers=1, decoder_layers=2)
WITH_POINTS = replace(NORM_FIRST, keypoints=4)
CONFIGS = {
    "light": LIGHT,
    "norm first": NORM_FIRST,
    "keypoints": WITH_POINTS,
    "resnet18": RESNET,
}
ALIKE = "decoder.layers.0.self_attn.in_proj_weight"
SMALL = ("image_projection.bias", "encoder.layers.0.self_attn.out_proj.bias")
STILL = {
    "norm first": {"decoder.layers.0.norm1.weight"},
    "keypoints": {"decoder.layers.0.norm1.weight"},
    "light": {ALIKE},
    "resnet18": {ALIKE, *SMALL},
}
"""The queries begin as zeros: their norm is its bias, and they attend to what is alike. Beside the
features of a ResNet18 that was not trained two biases are too small to tell."""

CLOSE = 2e-5
KINDS = (torch.float32, torch.bfloat16)


def lively(config: ActConfig) -> Act:
    """No weight or statistic is 0 or 1 by its start value: each matters."""
    network = small_act.network(config).eval()
    noise = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for values in network.parameters():
            values.add_(0.1 * torch.randn(values.shape, generator=noise))
        for values in network.backbone.buffers():  # a variance has to stay above 0
            values.mul_(0.5).add_(0.5 * torch.rand(values.shape, generator=noise))
    return network


def pictures_and_state(config: ActConfig) -> tuple[Tensor, Tensor]:
    noise = torch.Generator().manual_seed(3)
    shape = (config.cameras, 32, 48, 3)
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8, generator=noise)
    return pictures, torch.randn(14, generator=noise)


@torch.inference_mode()
def chunk(network: Act) -> np.ndarray:
    pictures, state = pictures_and_state(network.config)
    return network(pictures.permute(0, 3, 1, 2)[None], state[None]).action[0].numpy()


def fast_chunk(network: Act) -> np.ndarray:
    pictures, state = pictures_and_state(network.config)
    return FastAct(network, 32, 48, torch.float32)(list(pictures), state).numpy()


def parts(network: Act) -> dict[str, list[Tensor]]:
    """What is learnt or measured, by name; the numbers of a norm together."""
    found = {name: [values] for name, values in network.named_parameters()}
    for name, module in network.named_modules():
        if isinstance(module, FrozenBatchNorm):
            found[name] = list(module.buffers())
    return {name: one for name, one in found.items() if not name.startswith("latent_encoder.")}


@pytest.mark.parametrize("name", CONFIGS)
def test_each_weight_moves_the_actions_as_it_does_in_the_network(name: str) -> None:
    network = lively(CONFIGS[name])
    before = chunk(network)
    noise = torch.Generator().manual_seed(8)
    still = []
    for part, values in parts(network).items():
        kept = [one.detach().clone() for one in values]
        with torch.no_grad():
            for one in values:
                one.mul_(1 + torch.rand(one.shape, generator=noise))
                if one.dim() == 1:  # of a matrix this would be a sum of everything
                    one.add_(torch.rand(one.shape, generator=noise))
        after = chunk(network)
        np.testing.assert_allclose(fast_chunk(network), after, atol=CLOSE, err_msg=part)
        if np.abs(after - before).max() < 5 * CLOSE:
            still.append(part)
        with torch.no_grad():
            for one, was in zip(values, kept, strict=True):
                one.copy_(was)
    assert set(still) == {"latent_projection.weight", *STILL[name]}  # z = 0


def without_bias(make: Callable[..., None]) -> Callable[..., None]:
    def made(self: object, weight: Tensor, bias: Tensor | None, *rest: object) -> None:
        make(self, weight, None if bias is None else torch.zeros_like(bias), *rest)

    return made


def other_heads(attend: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda query, key, value, heads: attend(query, key, value, 2 * heads)


def swapped(attend: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda query, key, value, heads: attend(query, key, value.flip(0), heads)


def unmoved(positions: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *given: torch.zeros_like(positions(*given))


def by_one(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda self, x, *rest: call(self, x.roll(1, 0), *rest)


def as_it_is(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda self, x, *rest: x.clone()


BROKEN = {
    "a product without its bias": (fast_layers.Linear, "__init__", without_bias),
    "a convolution without its bias": (fast_layers.Convolution, "__init__", without_bias),
    "heads of another width": (fast_act_transformer, "attend", other_heads),
    "values of other tokens": (fast_act_transformer, "attend", swapped),
    "no positions": (fast_act, "_positions", unmoved),
    "a norm that is none": (fast_act_transformer.LayerNorm, "__call__", as_it_is),
    "rows one further": (fast_layers.Linear, "__call__", by_one),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_comparison_tells_when_a_part_is_wrong(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = lively(RESNET)
    np.testing.assert_allclose(fast_chunk(network), chunk(network), atol=CLOSE)
    owner, name, broken = BROKEN[what]
    monkeypatch.setattr(owner, name, broken(getattr(owner, name)))
    assert np.abs(fast_chunk(network) - chunk(network)).max() > 10 * CLOSE


def test_what_is_done_to_the_network_later_is_not_seen() -> None:
    network = lively(LIGHT)
    pictures, state = pictures_and_state(LIGHT)
    fast = FastAct(network, 32, 48, torch.float32)
    before = fast(list(pictures), state).clone()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight.zero_()
    torch.testing.assert_close(fast(list(pictures), state), before)


@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 9), width=st.integers(1, 9), kind=st.sampled_from(KINDS))
def test_maps_are_shrunk_as_by_pooling(height: int, width: int, kind: torch.dtype) -> None:
    noise = torch.Generator().manual_seed(height * 10 + width)
    maps = torch.randn(2, 4, height, width, generator=noise).relu_().to(kind)
    maps = maps.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(shrunk(maps), F.max_pool2d(maps, 3, 2, 1), rtol=0, atol=0)


@settings(deadline=None, max_examples=60)
@given(shift=st.floats(-400, 400), scale=st.floats(0, 60), heads=st.sampled_from((1, 2, 4)))
def test_attention_is_the_softmax_however_large_or_small_scores_are(
    shift: float, scale: float, heads: int
) -> None:
    noise = torch.Generator().manual_seed(heads)
    query, key, value = (torch.randn(n, 8 * heads, generator=noise) for n in (5, 9, 9))
    width = 8
    query *= scale / width
    query[:, ::width], key[:, ::width] = shift, 1.0  # a number that all of a head's scores share
    query, key, value = (x.to(torch.bfloat16) for x in (query, key, value))
    found = fast_layers.attend(query, key, value, heads)
    q, k, v = (x.double().unflatten(1, (heads, width)).transpose(0, 1) for x in (query, key, value))
    scores = (q @ k.transpose(1, 2)).to(torch.bfloat16).double()  # rounded, as both ways round them
    expected = (scores.softmax(dim=2) @ v).transpose(0, 1).flatten(1)
    torch.testing.assert_close(found.double(), expected, rtol=0.03, atol=0.03)


def test_attention_to_what_is_no_number_is_none() -> None:
    query, key, value = (torch.ones(n, 8, dtype=torch.bfloat16) for n in (2, 3, 3))
    query[0, 0] = torch.nan
    found = fast_layers.attend(query, key, value, 1)
    assert found[0].isnan().all()
    assert not found[1].isnan().any()

"""The fast backend computes what the network computes: exactly in float32, nearly in bfloat16."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.policies.act import Act
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.act_policy import ActPolicy
from aloha_stack.policies.fast_act import FastAct
from aloha_stack.policies.normalisation import Normaliser
from aloha_stack.policies.options import FAST
from aloha_stack.policies.policy import NAMES, ChunkError, Policy, PolicySpec
from policies import small_act
from policies.policy_conformance import PolicyConformance, seen

RESNET = replace(small_act.CONFIG, backbone="resnet18")
OF_EACH = ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
CONFIGS = {
    "light": small_act.CONFIG,
    "resnet18": RESNET,
    "one camera": replace(RESNET, cameras=1),
    "five cameras": replace(small_act.CONFIG, cameras=5),
    "norm first": replace(small_act.CONFIG, pre_norm=True, activation="gelu"),
    "norm first, resnet18": replace(RESNET, pre_norm=True),
    "first decoder layer only": replace(RESNET, first_layer_only=True),
    "one decoder layer": replace(small_act.CONFIG, decoder_layers=1),
    "no encoder": replace(small_act.CONFIG, encoder_layers=0),
    "no CVAE": replace(small_act.CONFIG, cvae=False),
    "camera embedding": replace(small_act.CONFIG, camera_embedding=True),
    "normalised camera by camera": replace(RESNET, image_mean=OF_EACH, image_std=OF_EACH[::-1]),
    "another stem": replace(small_act.CONFIG, stem_kernel=5, stem_stride=3, blocks=2),
    "a stem without overlap": replace(small_act.CONFIG, stem_kernel=4, stem_stride=4),
}


class TestFastLightAct(PolicyConformance):
    def policy(self) -> Policy:
        return fast_policy(small_act.CONFIG)

    def reloaded(self, policy: Policy, folder: Path) -> Policy:
        assert isinstance(policy, ActPolicy)
        return small_act.reloaded(policy, folder, FAST)


class TestFastResNetAct(TestFastLightAct):
    def policy(self) -> Policy:
        return fast_policy(replace(RESNET, pre_norm=True, crop=(4, 8, 24, 32)))


@pytest.mark.parametrize("name", CONFIGS)
def test_in_float32_it_is_the_network(name: str) -> None:
    expected, found = both(CONFIGS[name], 32, 48, torch.float32)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_in_bfloat16_it_is_nearly_the_network(name: str) -> None:
    expected, found = both(CONFIGS[name], 32, 48, torch.bfloat16)
    np.testing.assert_allclose(found, expected, atol=0.03)


@settings(deadline=None, max_examples=12)
@given(
    height=st.integers(20, 70),
    width=st.integers(20, 70),
    kernel=st.integers(1, 9),
    stride=st.integers(1, 6),
)
def test_pictures_of_any_size_fit_any_stem(
    height: int, width: int, kernel: int, stride: int
) -> None:
    stride = min(stride, kernel)
    config = replace(small_act.CONFIG, stem_kernel=kernel, stem_stride=stride, stages=(8,))
    expected, found = both(config, height, width, torch.float32)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@settings(deadline=None, max_examples=4)
@given(height=st.integers(33, 80), width=st.integers(33, 80))
def test_pictures_of_any_size_fit_resnet18(height: int, width: int) -> None:
    expected, found = both(RESNET, height, width, torch.float32)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_folded_into_weights_cancels_out_where_all_is_border_or_mean() -> None:
    """With a batch norm that is not trivial, as trained ones are."""
    network = small_act.network(RESNET)
    noise = torch.Generator().manual_seed(5)
    for name, values in network.backbone.named_buffers():
        values.copy_(torch.rand(values.shape, generator=noise) + ("bias" not in name))
    fast = FastAct(network.eval(), 32, 48, torch.float32)
    for grey in (0, 124, 255):
        pictures = [torch.full((32, 48, 3), grey, dtype=torch.uint8) for _ in range(2)]
        with torch.inference_mode():
            seen_by_it = torch.stack(pictures).permute(0, 3, 1, 2)[None]
            expected = network(seen_by_it, torch.zeros(1, 14)).action[0]
        np.testing.assert_allclose(fast(pictures, torch.zeros(14)), expected, atol=2e-5)


def test_many_pictures_are_computed_in_groups_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """As large ones are; the last group is smaller than the others."""
    two_maps = 2 * 64 * 16 * 24 * 4
    monkeypatch.setattr("aloha_stack.policies.fast_act_backbones.GROUP_BYTES", two_maps)
    expected, found = both(replace(RESNET, cameras=5), 32, 48, torch.float32)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_pictures_of_another_size_are_prepared_for() -> None:
    policy = fast_policy(spec=replace(small_act.SPEC, image_size=None))
    plain = small_act.policy(spec=policy.spec)
    for size in ((32, 48), (40, 24), (32, 48)):
        one = seen(policy)
        pictures = {
            camera: np.full((*size, 3), 10 * n, np.uint8) for n, camera in enumerate(one.images)
        }
        one = replace(one, images=pictures)
        np.testing.assert_allclose(policy.act(one), plain.act(one), atol=0.03)


def test_pictures_mirrored_by_a_view_are_seen_as_they_are() -> None:
    policy = fast_policy()
    one = seen(policy)
    mirrored = {camera: image[::-1, :, ::-1] for camera, image in one.images.items()}
    copies = {camera: image.copy() for camera, image in mirrored.items()}
    found = policy.act(replace(one, images=mirrored))
    assert np.array_equal(found, policy.act(replace(one, images=copies)))


def test_a_network_that_gives_no_numbers_is_an_error() -> None:
    network = small_act.network()
    with torch.no_grad():
        network.encoder.layers[0].norm1.weight[3] = torch.nan
    with pytest.raises(ChunkError, match="left_waist"):
        fast_policy(network=network).act(seen(fast_policy()))


def fast_policy(
    config: ActConfig = small_act.CONFIG,
    spec: PolicySpec = small_act.SPEC,
    network: Act | None = None,
) -> ActPolicy:
    normalisers = [Normaliser.of(small_act.STATISTICS, NAMES) for _ in range(2)]
    network = small_act.network(config) if network is None else network
    return ActPolicy(spec, network, *normalisers, backend=FAST)


def both(
    config: ActConfig, height: int, width: int, kind: torch.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Actions of the network and of its fast form, for noise."""
    network = small_act.network(config).eval()
    noise = torch.Generator().manual_seed(3)
    shape = (config.cameras, height, width, 3)
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8, generator=noise)
    state = torch.randn(14, generator=noise)
    with torch.inference_mode():
        expected = network(pictures.permute(0, 3, 1, 2)[None], state[None]).action[0]
    found = FastAct(network, height, width, kind)(list(pictures), state)
    assert found.dtype == torch.float32
    return expected.numpy(), found.numpy()

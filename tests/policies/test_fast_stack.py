"""Networks computed faster for acting say what the networks themselves say."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aloha_stack.bench.inference_recurrent import PUBLISHED
from aloha_stack.policies import fast_stack
from aloha_stack.policies.fast_stack import FastStack, for_acting
from aloha_stack.policies.recurrent import RecurrentNetwork
from aloha_stack.policies.recurrent_networks import config_of, without_start

CLOSE = 2e-5
ALL = [(policy, name) for policy, sizes in PUBLISHED.items() for name in sizes]


def network_of(policy: str, sizes: Mapping[str, Any]) -> RecurrentNetwork:
    """With norms that have seen something: their start values would hide mistakes."""
    torch.manual_seed(0)
    network = without_start(policy, config_of(policy, sizes))
    assert isinstance(network, RecurrentNetwork)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias)
    return network.eval()


def picture(network: RecurrentNetwork, seed: int) -> Tensor:
    """As it comes from a camera: the colours of a pixel side by side."""
    draws = torch.Generator().manual_seed(seed)
    height, width = network.config.image_size
    return torch.rand(1, height, width, 3, generator=draws).permute(0, 3, 1, 2)


ROUNDED = 0.02
"""Where weights are rounded to bfloat16: 8 bits."""


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(("policy", "name"), ALL)
def test_every_recurrent_network_acts_as_it_would_by_itself(
    policy: str, name: str, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_stack, "computing_type", lambda device: kind)
    network = network_of(policy, PUBLISHED[policy][name])
    fast = for_acting(network)
    assert any(isinstance(part, FastStack) for part in fast.modules())
    joints = torch.linspace(0, 1, network.config.joints)[None]
    mine = theirs = None
    with torch.inference_mode():
        for seed in range(3):
            seen = picture(network, seed)
            said, mine = fast.step(seen, joints, mine)
            wanted, theirs = network.step(seen, joints, theirs)
            for one, other in zip(said, wanted, strict=True):
                assert (one is None) == (other is None)
                if one is not None and other is not None:
                    assert one.shape == other.shape
                    rounds = kind == torch.bfloat16 and _is_wide(network)
                    close = ROUNDED if rounds else CLOSE
                    torch.testing.assert_close(one, other, rtol=close, atol=close)


def _is_wide(network: nn.Module) -> bool:
    linears = (part for part in network.modules() if isinstance(part, nn.Linear))
    return any(part.weight.numel() >= fast_stack.WIDE for part in linears)


def test_a_wide_layer_is_rounded_by_less_than_its_weights_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Errors of many weights cancel; the bias is not rounded at all."""
    monkeypatch.setattr(fast_stack, "computing_type", lambda device: torch.bfloat16)
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 30 * 30, 200))
    nn.init.constant_(layers[2].bias, 100.001)
    x = torch.rand(1, 3, 32, 32)
    found, expected = FastStack(layers)(x), layers(x).detach()
    assert 0 < (found - expected).abs().max() < 2**-8 * (expected - 100.001).abs().max()


def test_maps_of_another_size_or_number_are_prepared_for_anew() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.LeakyReLU(0.3), nn.Conv2d(8, 4, 3), nn.Conv2d(4, 4, 1), nn.Tanh()
    )
    stack = FastStack(layers)
    for shape in ((1, 3, 9, 7), (2, 3, 9, 7), (1, 3, 6, 12), (1, 3, 9, 7)):
        x = torch.rand(shape)
        torch.testing.assert_close(stack(x), layers(x).detach(), rtol=CLOSE, atol=CLOSE)


def test_the_original_keeps_its_layers_gradients_and_weights() -> None:
    network = network_of("cae_rnn", {"batch_norm": True, "image_size": (64, 64)})
    network.requires_grad_(True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fast = for_acting(network)
    seen, joints = picture(network, 0), torch.zeros(1, network.config.joints)
    said = fast.step(seen, joints)[0].joints
    assert not said.requires_grad
    assert network.step(seen, joints)[0].joints.requires_grad
    assert not any(isinstance(part, FastStack) for part in network.modules())
    assert before.keys() == network.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("why", ["no packing", "float64"])
def test_where_weights_are_not_packed_the_network_acts_itself(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = network_of("sarnn", {})
    if why == "float64":
        network = network.double()
    else:
        monkeypatch.setattr(fast_stack, "packs", lambda device: False)
    assert for_acting(network) is network

"""The network: sizes as published, every layer in use, padding and latent as the paper has them."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from aloha_stack.policies.act import Act, ActOutput, act_loss
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.weights import count
from policies import small_act

PADDING_HEAD = 513
"""Parameters of the published code's padding head, which is left out here: 512 weights, a bias."""


ROUNDING = 1e-7
"""Gradients below are 0 but for rounding."""


def batch(config: ActConfig = small_act.CONFIG) -> dict[str, Tensor]:
    """Two samples of noise; the second ends after three ticks."""
    draw = torch.Generator().manual_seed(1)
    is_pad = torch.zeros(2, config.chunk, dtype=torch.bool)
    is_pad[1, 3:] = True
    size = (2, config.cameras, 32, 48, 3)
    pictures = torch.randint(0, 256, size, generator=draw, dtype=torch.uint8)
    return {
        "images": pictures.permute(0, 1, 4, 2, 3),
        "state": torch.randn(2, 14, generator=draw),
        "action": torch.randn(2, config.chunk, 14, generator=draw),
        "is_pad": is_pad,
    }


@pytest.mark.parametrize(("layers", "millions"), [(7, "83.92"), (1, "51.61")])
def test_the_papers_network_has_the_published_number_of_parameters(
    layers: int, millions: str
) -> None:
    with torch.device("meta"):
        network = Act(ActConfig(decoder_layers=layers))
    assert f"{(sum(count(network).values()) + PADDING_HEAD) / 1e6:.2f}" == millions


def learning(config: ActConfig) -> set[str]:
    """The parameters that a step of training changes, with start values that are nowhere zero."""
    network = small_act.network(config)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    given = batch()
    act_loss(network(**given), given["action"], given["is_pad"]).total.backward()
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().max() > ROUNDING
    }


def test_every_decoder_layer_is_in_use_unless_the_first_only_is_asked_for() -> None:
    def used(config: ActConfig) -> list[bool]:
        names = learning(config)
        return [f"decoder.layers.{layer}.linear1.weight" in names for layer in range(3)]

    assert used(small_act.CONFIG) == [True, True, True]
    assert used(replace(small_act.CONFIG, first_layer_only=True)) == [True, False, False]


@pytest.mark.parametrize(
    ("change", "idle"),
    [
        ({}, set()),
        (
            {"camera_embedding": True, "pre_norm": True, "activation": "gelu"},
            {"decoder.layers.0.norm1.weight"},
        ),
    ],
)
def test_every_parameter_learns_but_what_scales_the_decoders_zeros(
    change: dict[str, object], idle: set[str]
) -> None:
    """The decoder begins with zeros, as published; a norm before all else has those to scale."""
    config = replace(small_act.CONFIG, **change)  # type: ignore[arg-type]
    every = {name for name, _ in small_act.network(config).named_parameters()}
    assert every - learning(config) == idle


def test_every_convolution_of_the_resnet_learns_and_its_norms_stay() -> None:
    network = small_act.network(replace(small_act.CONFIG, backbone="resnet18"))
    given = batch()
    act_loss(network(**given), given["action"], given["is_pad"]).total.backward()
    grads = [p.grad for p in network.backbone.parameters()]
    assert len(grads) == 20  # 17 of three by three or seven by seven, 3 around a stride
    assert all(grad is not None and bool(grad.any()) for grad in grads)


def test_what_is_padded_says_nothing_to_the_latent_nor_to_the_loss() -> None:
    network = small_act.network().eval()
    given = batch()
    garbage = given["action"].clone()
    garbage[1, 3:] = 1e3
    noise = torch.zeros(2, 4)
    one = network(**given, noise=noise)
    other = network(**{**given, "action": garbage}, noise=noise)
    torch.testing.assert_close(other.mean, one.mean)
    torch.testing.assert_close(other.log_var, one.log_var)
    torch.testing.assert_close(
        act_loss(other, garbage, given["is_pad"]).total,
        act_loss(one, given["action"], given["is_pad"]).total,
    )


def test_the_latent_is_zero_without_a_demonstration_and_its_sample_with_one() -> None:
    network = small_act.network().eval()
    given = batch()
    images, state = given["images"], given["state"]
    rollout = network(images, state)
    assert rollout.mean is None
    tokens = network.image_tokens(images)
    torch.testing.assert_close(rollout.action, network.decode(tokens, state, torch.zeros(2, 4)))
    noise = torch.tensor([[1.0, -2.0, 0.0, 0.5]]).expand(2, 4)
    output = network(**given, noise=noise)
    z = output.mean + noise * torch.exp(0.5 * output.log_var)
    torch.testing.assert_close(output.action, network.decode(tokens, state, z))


def test_without_a_cvae_a_demonstration_changes_nothing() -> None:
    network = small_act.network(replace(small_act.CONFIG, cvae=False)).eval()
    given = batch()
    output = network(**given)
    torch.testing.assert_close(output.action, network(given["images"], given["state"]).action)
    assert act_loss(output, given["action"], given["is_pad"]).kl == 0


def test_the_loss_is_that_of_the_paper() -> None:
    mean, log_var = torch.tensor([[0.5, -1.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    said, done = torch.zeros(2, 2, 1), torch.tensor([[[1.0], [2.0]], [[4.0], [100.0]]])
    is_pad = torch.tensor([[False, False], [False, True]])
    loss = act_loss(ActOutput(said, mean, log_var), done, is_pad, kl_weight=10)
    # KL(N(m, s^2) || N(0, 1)) = (s^2 + m^2 - 1 - ln s^2) / 2 a dimension, summed, mean of samples
    kl = 0.5 * ((1 + 0.25 - 1 - 0) + (np.e + 1 - 1 - 1)) / 2
    assert loss.l1 == pytest.approx((1 + 2 + 4) / 3)
    assert loss.kl == pytest.approx(kl)
    assert loss.total == pytest.approx((1 + 2 + 4) / 3 + 10 * kl)
    published = act_loss(ActOutput(said), done, is_pad, over_padding=True)
    assert published.total == pytest.approx((1 + 2 + 4) / 4)


def test_bytes_and_floats_of_the_same_pictures_mean_the_same_in_any_layout() -> None:
    network = small_act.network().eval()
    given = batch()
    images, state = given["images"], given["state"]
    plain = network(images.contiguous(), state).action
    torch.testing.assert_close(network(images, state).action, plain)
    torch.testing.assert_close(network(images.float() / 255, state).action, plain)


def test_pictures_stay_channels_last_on_their_way_into_the_network() -> None:
    network = small_act.network()
    layouts: list[bool] = []

    def note(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        layouts.append(inputs[0].is_contiguous(memory_format=torch.channels_last))

    for module in network.backbone.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(note)
    given = batch()
    network(given["images"], given["state"])
    assert layouts == [True] * len(layouts) != []


def test_a_sample_does_not_depend_on_the_others_of_its_batch() -> None:
    network = small_act.network().eval()
    given = batch()
    both = network(given["images"], given["state"]).action
    alone = network(given["images"][1:], given["state"][1:]).action
    torch.testing.assert_close(alone[0], both[1], rtol=1e-4, atol=1e-5)


def test_it_runs_in_bfloat16_with_weights_that_stay_float32() -> None:
    for backbone in ("light", "resnet18"):
        network = small_act.network(replace(small_act.CONFIG, backbone=backbone, dropout=0.0))
        given = batch()
        noise = torch.zeros(2, 4)
        cast = {name: p.to(torch.bfloat16) for name, p in network.named_parameters()}
        arguments = (*given.values(), noise)
        output = torch.func.functional_call(network, cast, arguments)
        assert output.action.dtype == torch.bfloat16
        loss = act_loss(output, given["action"], given["is_pad"])
        assert loss.total.dtype == torch.float32
        loss.total.backward()
        exact = network(*arguments)
        near = {"rtol": 0.1, "atol": 0.1}
        torch.testing.assert_close(output.action.float(), exact.action, **near)
        assert all(p.grad is not None for p in network.parameters())
        assert network.to(torch.bfloat16)(*arguments).action.dtype == torch.bfloat16


def test_other_numbers_of_cameras_are_an_error() -> None:
    given = batch()
    with pytest.raises(ValueError, match=r"expected \(B, 2, 3, H, W\), found \(2, 1, 3, 32, 48\)"):
        small_act.network()(given["images"][:, :1], given["state"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 18, "heads": 4}, "hidden: expected a multiple of heads"),
        ({"hidden": 0}, "hidden: expected a whole number from 1"),
        ({"decoder_layers": 0}, "decoder_layers: expected a whole number from 1"),
        ({"chunk": 2.5}, "chunk: expected a whole number"),
        ({"heads": True}, "heads: expected a whole number"),
        ({"dropout": 1.0}, "dropout: expected 0 … 1"),
        ({"dropout": "much"}, "dropout: expected a number"),
        ({"activation": "tanh"}, "activation: expected relu or gelu"),
        ({"backbone": "vgg"}, "backbone: expected resnet18 or light"),
        ({"stages": [8, 9]}, "stages: expected channels, each a multiple of norm_groups"),
        ({"pre_norm": 1}, "pre_norm: expected true or false"),
        ({"crop": [0, 0, 10]}, "crop .0, 0, 10.: expected top, left, height, width"),
        ({"crop": [-1, 0, 10, 10]}, "crop .-1, 0, 10, 10.: expected top"),
        ({"crop": [[0, 0, 10, 10]]}, "crop has parts for 1 cameras; there are 2"),
        ({"crop": []}, "crop .*: expected top, left, height, width"),
        ({"seen": [0, 10]}, "seen: expected height and width"),
        ({"image_std": [[1, 1, 0]]}, "image_std: expected above 0"),
        ({"image_mean": [[0.5, 0.5]]}, "image_mean: expected three numbers"),
        ({"layers": 3}, "unknown: layers"),
    ],
)
def test_sizes_that_cannot_be_are_refused_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        ActConfig.from_dict({**small_act.CONFIG.as_dict(), **change})


@pytest.mark.parametrize(
    "name", [one.name for one in fields(ActConfig) if type(one.default) is int] + ["stages"]
)
def test_a_size_that_no_memory_holds_is_refused_before_any_is_asked_for(name: str) -> None:
    huge = 10**12
    change = {name: [huge] if name == "stages" else huge}
    with pytest.raises(PolicyError, match=f"{name}: expected"):
        ActConfig.from_dict({**small_act.CONFIG.as_dict(), **change})

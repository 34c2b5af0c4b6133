"""Recurrent networks: sizes as published, steps as sequences, and what each-layer input adds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aloha_stack.policies.each_layer_lstm import EachLayerConfig, EachLayerLstm
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.recurrent import Memory, RecurrentNetwork, as_input
from aloha_stack.policies.recurrent_networks import config_of, network_of
from aloha_stack.policies.spatial_softmax import SpatialSoftmax, Spots
from aloha_stack.policies.weights import count
from policies import small_recurrent as small

PUBLISHED = {"joints": 8, "arms": ()}


def sequence(network: RecurrentNetwork, steps: int = 5, batch: int = 2) -> tuple[Tensor, Tensor]:
    """Pictures and joints, drawn."""
    drawn = torch.Generator().manual_seed(0)
    kind = next(network.parameters()).dtype
    size = network.config.image_size
    images = torch.rand(batch, steps, 3, *size, generator=drawn, dtype=kind)
    return images, torch.rand(batch, steps, network.config.joints, generator=drawn, dtype=kind)


@pytest.mark.parametrize(
    ("policy", "sizes", "parameters"),
    [
        ("cnnrnn", PUBLISHED, 82_875),
        ("cnnrnn", PUBLISHED | {"layer_norm": True}, 1_282_611),
        ("cae", {}, 69_017),
        ("cae", {"batch_norm": True}, 70_005),
        ("cae", {"size": "large"}, 50_967_613),
        ("cae", {"size": "large", "batch_norm": True}, 51_022_449),
        ("sarnn", PUBLISHED, 34_515),
        ("cae_rnn", PUBLISHED, 14_918),  # the auto-encoder's stay as they are
    ],
)
def test_networks_have_as_many_parameters_as_published(
    policy: str, sizes: dict[str, object], parameters: int
) -> None:
    with torch.device("meta" if "size" in sizes else "cpu"):
        network = network_of(policy, config_of(policy, sizes))
    trained = {name: n for name, n in count(network).items() if name != "autoencoder"}
    assert sum(trained.values()) == parameters


@pytest.mark.parametrize("kind", small.SIZES)
def test_step_by_step_it_says_what_it_says_of_the_whole_sequence(kind: str) -> None:
    network = small.network(kind).double().eval()
    images, joints = sequence(network)
    whole, memory = network(images, joints)
    kept: Memory | None = None
    for t in range(joints.shape[1]):
        one, kept = network.step(images[:, t], joints[:, t], kept)
        for said, expected in zip(one, whole, strict=True):
            assert (said is None) == (expected is None)
            if said is not None:
                torch.testing.assert_close(said, expected[:, t], rtol=0, atol=1e-12)
    assert kept is not None
    torch.testing.assert_close(kept.hidden, memory.hidden, rtol=0, atol=1e-12)
    torch.testing.assert_close(kept.cell, memory.cell, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", small.SIZES)
def test_a_sequence_in_two_parts_is_the_sequence(kind: str) -> None:
    network = small.network(kind).double().eval()
    images, joints = sequence(network)
    whole, _ = network(images, joints)
    _, memory = network(images[:, :2], joints[:, :2])
    rest, _ = network(images[:, 2:], joints[:, 2:], memory)
    torch.testing.assert_close(rest.joints, whole.joints[:, 2:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["points", "cnnrnn", "sarnn"])
def test_a_picture_can_be_seen_for_several_steps(kind: str) -> None:
    network = small.network(kind).double().eval()
    images, joints = sequence(network)
    looks = torch.arange(joints.shape[1]) // 2
    few, _ = network(images[:, : int(looks[-1]) + 1], joints, looks=looks)
    whole, _ = network(images[:, looks], joints)
    for said, expected in zip(few, whole, strict=True):
        if said is not None:
            torch.testing.assert_close(said, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", small.SIZES)
def test_what_is_predicted_has_the_shape_of_what_was_seen(kind: str) -> None:
    network = small.network(kind)
    images, joints = sequence(network)
    said, memory = network(images, joints)
    assert said.joints.shape == joints.shape
    assert (said.image is not None) == network.predicts_image
    if said.image is not None:
        assert said.image.shape == images.shape
    feature = network.encode(images.flatten(0, 1)).feature
    assert feature.shape == (10, len(network.feature_names))
    assert len(set(network.feature_names)) == len(network.feature_names)
    assert network(images, joints, with_image=False)[0].image is None
    assert memory.hidden.shape == memory.cell.shape


@pytest.mark.parametrize("kind", small.SIZES)
def test_every_parameter_has_a_part_in_what_is_predicted(kind: str) -> None:
    network = small.network(kind)
    said, _ = network(*sequence(network))
    parts = (said.joints, said.image, said.points, said.feature)
    sum(part.square().sum() for part in parts if part is not None).backward()
    for name, parameter in network.named_parameters():
        if name.startswith("autoencoder."):
            assert parameter.grad is None
            continue
        assert parameter.grad is not None, name
        if kind != "cnnrnnln":  # of ReLUs on so few numbers some are off
            assert parameter.grad.abs().sum() > 0, name


def test_gradients_reach_the_first_picture_through_all_steps() -> None:
    network = small.network("points").double()
    images, joints = sequence(network)
    images.requires_grad_()
    network(images, joints)[0].joints[:, -1].sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().flatten(2).sum(2) > 0).all()


# -- each-layer input -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cnnrnn", "cnnrnnln"])
def test_every_joint_can_be_learnt_from_any_start(kind: str) -> None:
    """ReLU has no slope where it cuts off; two joints in five began so, whatever was seen."""
    for seed in range(20):
        network = small.network(kind, seed)
        said, _ = network(*sequence(network))
        spread = said.joints.std((0, 1))
        assert (spread > 0).all(), f"seed {seed}: {spread}"


@pytest.mark.parametrize("encoder", ["points", "mlp"])
def test_without_its_extra_columns_the_each_layer_network_is_the_conventional_one(
    encoder: str,
) -> None:
    conventional = small.network(encoder, feature_into="first").double()
    each = small.network(encoder, seed=1).double()
    weights = dict(conventional.state_dict())
    features = each.state_dict()["layers.1.weight_ih"].shape[1] - 8
    for name, value in each.state_dict().items():
        if value.shape != weights[name].shape:
            assert name in ("layers.1.weight_ih", "layers.2.weight_ih")
            weights[name] = torch.cat((weights[name], torch.zeros(32, features).double()), dim=1)
    each.load_state_dict(weights)
    inputs = sequence(each)
    said, memory = each(*inputs)
    expected, kept = conventional(*inputs)
    torch.testing.assert_close(said.joints, expected.joints, rtol=0, atol=1e-12)
    torch.testing.assert_close(memory.cell, kept.cell, rtol=0, atol=1e-12)


def test_each_layer_of_the_network_gets_the_feature_itself() -> None:
    """Written once more from the equations, for two layers and one sequence."""
    network = small.network("mlp", layers=2, feature_to_output=True).double()
    assert isinstance(network, EachLayerLstm)
    images, joints = sequence(network, batch=1)
    cells = [nn.LSTMCell(*shape).double() for shape in ((7 + 5, 8), (8 + 5, 8))]
    for cell, layer in zip(cells, network.layers, strict=True):
        cell.load_state_dict(layer.state_dict())
    one = two = (torch.zeros(1, 8).double(), torch.zeros(1, 8).double())
    said = []
    for t in range(joints.shape[1]):
        f = network.encoder(images[:, t])
        one = cells[0](torch.cat((joints[:, t], f), 1), one)
        two = cells[1](torch.cat((one[0], f), 1), two)
        said.append(network.output(torch.cat((two[0], f), 1)))
    predicted, memory = network(images, joints)
    torch.testing.assert_close(predicted.joints, torch.stack(said, 1), rtol=0, atol=1e-12)
    for mine, expected in zip(memory, (*two, one), strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-12)


@given(
    layers=st.integers(2, 5),
    hidden=st.integers(4, 200),
    points=st.integers(1, 60),
    to_output=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_the_wider_control_has_as_many_parameters_as_each_layer_input(
    layers: int, hidden: int, points: int, to_output: bool
) -> None:
    each = EachLayerConfig(layers=layers, hidden=hidden, points=points, feature_to_output=to_output)
    wider = EachLayerConfig.from_dict(each.as_dict() | {"feature_into": "first", "matched": True})
    with torch.device("meta"):
        numbers = [
            sum(p.numel() for p in EachLayerLstm(config).layers.parameters())
            for config in (each, wider)
        ]
    one_wider = 4 * (2 * layers * wider.width + 100 + 2 * points)
    assert wider.width >= hidden
    assert abs(numbers[1] - numbers[0]) <= one_wider


# -- points ---------------------------------------------------------------------------------


@given(x=st.integers(0, 11), y=st.integers(0, 6), temperature=st.sampled_from([1e-4, 1e-2, 0.1]))
@settings(max_examples=20, deadline=None)
def test_a_bright_pixel_is_found_where_it_is(x: int, y: int, temperature: float) -> None:
    maps = torch.zeros(1, 2, 7, 12)
    maps[0, 0, y, x] = 3.0
    points = SpatialSoftmax(temperature)(maps)
    torch.testing.assert_close(points[0, 0], torch.tensor([x / 11, y / 6]), atol=1e-5, rtol=0)
    torch.testing.assert_close(points[0, 1], torch.tensor([0.5, 0.5]), atol=1e-5, rtol=0)


def test_a_spot_is_bright_at_its_point_and_falls_off_to_all_sides() -> None:
    spots = Spots(7, 11, 0.1)(torch.tensor([[[0.3, 0.5]]]))
    assert spots.shape == (1, 1, 7, 11)
    assert divmod(int(spots.argmax()), 11) == (3, 3)
    assert spots.max() == pytest.approx(1.0)
    assert spots[0, 0, 3, 10] == pytest.approx(torch.exp(torch.tensor(-(0.7**2) / 0.1)).item())


# -- auto-encoders --------------------------------------------------------------------------


def test_the_auto_encoder_of_a_cae_rnn_is_never_trained_nor_changed() -> None:
    network = small.network("cae_rnn").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(*sequence(network))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_features_of_a_cae_rnn_are_stretched_to_the_networks_range_and_back() -> None:
    plain, stretched = (small.network("cae_rnn").eval() for _ in range(2))
    stretched.feature_bounds.copy_(torch.tensor([-0.5, 1.5]))
    images, _ = sequence(plain)
    feature = plain.encode(images[0]).feature
    torch.testing.assert_close(stretched.encode(images[0]).feature, (feature + 0.5) / 2)


def test_cnnrnn_starts_from_an_auto_encoder() -> None:
    sizes = {"image_size": (32, 64)}
    autoencoder = network_of("cae", config_of("cae", sizes))
    network = small.network("cnnrnn")
    before = network.joint_decoder[0].weight.clone()
    network.start_from(autoencoder.state_dict())  # type: ignore[operator]
    images, _ = sequence(network)
    feature = network.encode(images[0]).feature
    torch.testing.assert_close(feature, autoencoder.encode(images[0]))  # type: ignore[operator]
    maps = torch.rand(2, 8, 1, 2)
    torch.testing.assert_close(
        network.image_decoder[3:](maps),
        autoencoder.decoder[5:](maps),  # type: ignore[index]
    )
    assert torch.equal(network.joint_decoder[0].weight, before)
    with pytest.raises(PolicyError, match="expected a basic one without BatchNorm"):
        network.start_from(
            network_of("cae", config_of("cae", sizes | {"batch_norm": True})).state_dict()
        )


# -- what cannot be -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "sizes", "message"),
    [
        ("cnnrnn", {"image_size": (33, 64)}, "image_size: pictures of 33×64 px would come back"),
        ("cae", {"size": "huge"}, "size: expected basic or large"),
        ("cae", {"size": "large", "image_size": (36, 36)}, "come back as 32×32"),
        ("sarnn", {"image_size": (7, 64)}, "image_size: expected more than 7 px"),
        ("sarnn", {"temperature": 0.0}, "temperature: expected a number above 0"),
        ("sarnn", {"keypoints": 3}, "unknown: keypoints"),
        ("each_layer_lstm", {"feature_into": "all"}, "feature_into: expected each or first"),
        ("each_layer_lstm", {"matched": True}, "matched"),
        ("each_layer_lstm", {"strides": (1,)}, "strides: expected one for each of channels"),
        ("each_layer_lstm", {"arms": ("middle",)}, "arms: expected of left, right"),
        ("each_layer_lstm", {"joints": 8}, "joints: expected 7 for each"),
        ("each_layer_lstm", {"crop": (0, 0, 32, 64)}, "crop"),
        ("each_layer_lstm", {"value_range": (1.0, 0.0)}, "value_range"),
        ("each_layer_lstm", {"hidden": 0}, "hidden: expected a whole number from 1"),
        ("each_layer_lstm", {"hidden": 10**9}, "hidden: expected a whole number from 1 to 16384"),
    ],
)
def test_sizes_that_cannot_be_are_refused_by_name(
    policy: str, sizes: dict[str, object], message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        config_of(policy, sizes)


def test_a_config_is_the_same_after_json() -> None:
    for policy, sizes in small.SIZES.values():
        config = config_of(policy, sizes)
        assert config_of(policy, config.as_dict()) == config


def test_inputs_of_other_shapes_are_refused() -> None:
    network = small.network("points")
    images, joints = sequence(network)
    with pytest.raises(ValueError, match="images: expected"):
        network(images[..., :-1], joints)
    with pytest.raises(ValueError, match="joints: expected"):
        network(images, joints[..., :-1])


def test_pictures_come_in_the_networks_range_and_order_of_colours() -> None:
    picture = torch.tensor([[[255, 0, 51]]], dtype=torch.uint8)
    rgb = as_input(picture, config_of("sarnn", {}))
    bgr = as_input(picture, config_of("sarnn", {"bgr": True, "value_range": (-1.0, 1.0)}))
    torch.testing.assert_close(rgb.flatten(), torch.tensor([1.0, 0.0, 0.2]))
    torch.testing.assert_close(bgr.flatten(), torch.tensor([-0.6, -1.0, 1.0]))

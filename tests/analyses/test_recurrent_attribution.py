"""The attribution matrix is what small changes of the inputs really do."""

import numpy as np
import pytest
import torch
from torch import Tensor

from aloha_stack.analyses.gradients import (
    CELL,
    FEATURE,
    HIDDEN,
    JOINTS,
    Inputs,
    attribution,
    mean_slopes,
    one_step,
)
from aloha_stack.policies.each_layer_lstm import EachLayerConfig, EachLayerLstm
from aloha_stack.policies.recurrent import Memory, RecurrentNetwork
from aloha_stack.policies.recurrent_networks import config_of, network_of

STEPS = 4
EPSILON = 1e-6
NAMES = [f"joint_{n}" for n in range(7)]
SIZES = {
    "each_layer_lstm": {"hidden": 5, "layers": 3, "points": 2, "feature_to_output": True},
    "cnnrnn": {"image_size": (32, 32), "hidden": 6, "features": 3},
    "sarnn": {"image_size": (12, 12), "hidden": 6, "points": 2},
    "cae_rnn": {"image_size": (32, 32), "hidden": 6, "features": 3},
}


def network(policy: str) -> RecurrentNetwork:
    torch.manual_seed(1)
    made = network_of(policy, config_of(policy, SIZES[policy])).double().eval()
    assert isinstance(made, RecurrentNetwork)
    return made


def inputs(one: RecurrentNetwork) -> Inputs:
    """What could come of three steps, and a fourth."""
    torch.manual_seed(2)
    features = len(one.feature_names)
    joints, seen = torch.rand(STEPS, 3, 7).double(), torch.rand(STEPS, 3, features).double()
    with torch.no_grad():
        _, memory = one.recur(seen, joints)
    return Inputs(joints[:, -1], seen[:, -1], memory)


def parts(given: Inputs) -> list[Tensor]:
    memory = given.memory
    return [given.joints, given.feature, memory.hidden, memory.cell, *memory.lower]


@pytest.mark.parametrize("policy", list(SIZES))
def test_slopes_equal_finite_differences(policy: str) -> None:
    one = network(policy)
    given = inputs(one)
    found, told = mean_slopes(one, given)
    column = 0
    for number, part in enumerate(parts(given)):
        for place in range(part.shape[1]):
            beside = []
            for sign in (1, -1):
                moved = [value.clone() for value in parts(given)]
                moved[number][:, place] += sign * EPSILON
                joints, feature, hidden, cell, *lower = moved
                memory = Memory(hidden, cell, tuple(lower))
                with torch.no_grad():
                    beside.append(one_step(one, Inputs(joints, feature, memory)))
            slope = ((beside[0] - beside[1]) / (2 * EPSILON)).abs().mean(dim=0)
            np.testing.assert_allclose(found[:, column], slope.numpy(), rtol=1e-5, atol=1e-9)
            column += 1
    assert found.shape == (7, column)
    assert told.shape == (STEPS, 7)


def test_columns_are_named_and_grouped() -> None:
    one = network("each_layer_lstm")
    found = attribution(one, inputs(one), NAMES)
    assert [found.groups.count(group) for group in (JOINTS, FEATURE, HIDDEN, CELL)] == [
        7,
        4,
        15,
        15,
    ]
    assert found.columns[:8] == (*NAMES, "x_0")
    # The last layer's memory comes first, then those below from the first layer on.
    assert [c for c in found.columns if c.endswith("_0") and "hidden" in c] == [
        "hidden_3_0",
        "hidden_1_0",
        "hidden_2_0",
    ]
    sums = sum(found.of_group(group) for group in (JOINTS, FEATURE, HIDDEN, CELL))
    np.testing.assert_allclose(sums, found.matrix.sum(axis=1))


def test_a_number_counts_by_how_much_it_varies() -> None:
    one = network("cnnrnn")
    given = inputs(one)
    found = attribution(one, given, NAMES)
    spread = parts(given)[0].std(dim=0, correction=0).numpy()
    with torch.no_grad():
        told = one_step(one, given).std(dim=0, correction=0).numpy()
    slopes, _ = mean_slopes(one, given)
    np.testing.assert_allclose(found.matrix[:, :7], slopes[:, :7] * spread / told[:, None])
    still = Inputs(given.joints.mean(dim=0).expand(STEPS, 7), given.feature, given.memory)
    assert not attribution(one, still, NAMES).of_group(JOINTS).any()


def test_what_the_network_does_not_look_at_moves_nothing() -> None:
    torch.manual_seed(0)
    config = EachLayerConfig(hidden=4, layers=2, points=2, feature_into="first")
    blind = EachLayerLstm(config).double().eval()
    with torch.no_grad():
        blind.layers[0].weight_ih[:, 7:] = 0.0
        blind.output.weight[3] = 0.0  # this joint is always told the same
    found = attribution(blind, inputs(blind), NAMES)
    assert found.feature_to_joints == 0.0
    assert not found.of_group(FEATURE).any()
    assert not found.matrix[3].any()
    assert np.isfinite(found.matrix).all()
    assert found.of_group(JOINTS)[0] > 0

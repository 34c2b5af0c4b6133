"""Dropout: as many elements as asked for, the mean kept, and reproducible from torch's seed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.policies.dropout import Dropout, dropped


@settings(deadline=None, max_examples=30)
@given(
    share=st.floats(0.0, 0.99),
    shape=st.lists(st.integers(0, 9), max_size=4),
    kind=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 2**31),
)
def test_elements_are_0_or_larger_by_what_the_others_lack(
    share: float, shape: list[int], kind: torch.dtype, seed: int
) -> None:
    torch.manual_seed(seed)
    found = dropped(torch.full(shape, 2.0, dtype=kind), share)
    assert (list(found.shape), found.dtype) == (shape, kind)
    kept = found[found != 0].float()
    torch.testing.assert_close(kept, torch.full_like(kept, 2 / (1 - share)), rtol=1e-2, atol=0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_so_many_elements_are_dropped_and_all_alike_in_their_turn(share: float) -> None:
    torch.manual_seed(0)
    found = dropped(torch.ones(40, 50, 60), share)
    assert (found == 0).float().mean().item() == pytest.approx(share, abs=0.01)
    assert found.mean().item() == pytest.approx(1.0, abs=0.02)
    for dim in range(3):
        others = [other for other in range(3) if other != dim]
        shares = (found == 0).float().mean(dim=others)
        assert (shares - share).abs().max() < 0.05


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(1)
    zero = (dropped(torch.ones(400_000), 0.5) == 0).float() - 0.5
    for apart in range(1, 9):
        assert abs((zero[apart:] * zero[:-apart]).mean().item()) < 0.01 * 0.25 * 2


def test_the_gradient_goes_where_the_numbers_went() -> None:
    x = torch.randn(7, 11, requires_grad=True)
    y = dropped(x, 0.3)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


def test_torchs_seed_says_what_is_dropped() -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.stack([dropped(torch.ones(100), 0.5) for _ in range(2)])

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))
    assert not torch.equal(drawn(3)[0], drawn(3)[1])


def test_nothing_and_everything_can_be_dropped() -> None:
    x = torch.randn(10)
    assert torch.equal(dropped(x, 0.0), x)
    assert torch.equal(dropped(x, 1.0), torch.zeros(10))


def test_a_layer_drops_in_training_only() -> None:
    layer, x = Dropout(0.5), torch.ones(1000)
    assert 400 < int((layer(x) == 0).sum()) < 600
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x

"""The norm of maps in bfloat16 is torch's, value and gradient."""

import pytest
import torch
from torch import Tensor, nn

from aloha_stack.policies.group_norm import GroupNorm


def results(norm: nn.Module, x: Tensor, gradient: Tensor) -> list[Tensor]:
    x = x.detach().requires_grad_()
    norm.zero_grad()
    y = norm(x)
    y.backward(gradient)
    assert x.grad is not None
    return [y.detach(), x.grad, *(p.grad for p in norm.parameters() if p.grad is not None)]


@pytest.mark.parametrize("size", [(9, 11), (3, 4)])
def test_value_and_gradients_are_torchs_to_bfloat16s_precision(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x, gradient = (torch.randn(3, 24, *size).bfloat16() for _ in range(2))
    x = (2 * x + 0.5).to(memory_format=torch.channels_last)
    norm, exact = GroupNorm(4, 24).bfloat16(), nn.GroupNorm(4, 24)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    exact.load_state_dict({name: value.float() for name, value in norm.state_dict().items()})
    found = results(norm, x, gradient)
    wanted = results(exact, x.float(), gradient.float())
    assert len(found) == 4
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        assert (one.float() - other).norm() < 0.01 * other.norm()
    assert found[0].is_contiguous(memory_format=torch.channels_last)


def test_in_float32_it_is_torchs_own() -> None:
    x = torch.randn(2, 8, 9, 9)
    norm = GroupNorm(2, 8)
    assert torch.equal(norm(x), nn.functional.group_norm(x, 2, norm.weight, norm.bias, norm.eps))

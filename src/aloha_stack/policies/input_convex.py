"""A network that is convex in its input, whatever its weights, and its slope in closed form.

    z_1 = s(W_0 x + b_0),   z_{k+1} = s(U_k z_k + W_k x + b_k),   g = u z_K + w x + b

Convex by construction: s is convex and grows, and U_k, u have no negative entry (a softplus of the
free weights, over their number, so that deep networks neither grow nor vanish at the start). The
slope is the chain rule written out: it costs one more pass, and learning that uses it needs no
second derivative of automatic differentiation. s is the softplus, so that g is smooth.

Source: Amos, Xu, Kolter 2017, "Input convex neural networks" (arXiv 1609.07152).
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

softplus = partial(functional.softplus, threshold=40.0)
"""Above torch's own threshold of 20 its error is 2e-9: V would have a step there."""


class InputConvex(nn.Module):
    """g: numbers (..., dim) to numbers (...)."""

    def __init__(self, dim: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(nn.Linear(dim, size) for size in (*hidden, 1))
        self.passes = nn.ModuleList(
            nn.Linear(before, size, bias=False)
            for before, size in zip(hidden, (*hidden[1:], 1), strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The value."""
        return self.value_and_slope(x)[0]

    def value_and_slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g (...) and its gradient (..., dim) at x (..., dim)."""
        weights = [_not_negative(_weight(layer)) for layer in self.passes]
        sums = [self.inputs[0](x)]
        for layer, weight in zip(list(self.inputs)[1:], weights, strict=True):
            sums.append(softplus(sums[-1]) @ weight.mT + layer(x))
        slope = _weight(self.inputs[-1])[0]
        back = weights[-1][0]
        for number in range(len(weights) - 1, -1, -1):
            inner = back * sums[number].sigmoid()  # s' of a softplus is the logistic function
            slope = slope + inner @ _weight(self.inputs[number])
            if number:
                back = inner @ weights[number - 1]
        return sums[-1][..., 0], slope


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def _not_negative(weight: Tensor) -> Tensor:
    return softplus(weight) / weight.shape[-1]

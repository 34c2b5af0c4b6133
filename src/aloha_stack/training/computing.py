"""Weights, losses and step sizes as the loop uses them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from aloha_stack.training.objective import Network, Objective, Term, Terms
from aloha_stack.training.recipes import BF16, TrainingRecipe


def computed_in(
    module: nn.Module,
    weights: Mapping[str, Tensor],
    precision: str,
    rounded: Callable[[str], bool],
) -> Network:
    """The module as a function of its inputs, with these float32 weights cast once: in bfloat16
    those whose names may be `rounded`.

    Gradients reach `weights`. A cast a step costs far less than autocast's, one for each use.
    """
    used = dict(weights)
    if precision == BF16:
        used |= {name: w.to(torch.bfloat16) for name, w in weights.items() if rounded(name)}

    def network(*inputs: Any, **named: Any) -> Any:
        return torch.func.functional_call(module, used, inputs, named)

    return network


def counts(terms: Terms) -> Tensor:
    """(terms,) float64: over how many things each term is a mean."""
    return torch.stack([_count(term) for term in terms.values()])


def weighted(terms: Terms, totals: Tensor) -> Tensor:
    """(terms,): what these terms add to a loss whose means are over `totals` (terms,) things."""
    shares = (counts(terms) / totals.clamp(min=1)).float()
    weights = [term.weight * term.mean for term in terms.values()]
    return torch.stack(weights) * shares


def sums(terms: Terms) -> Tensor:
    """(2, terms) float64: the sum behind each mean, and its count; these add up over batches."""
    over = counts(terms)
    return torch.stack([torch.stack([term.mean.double() for term in terms.values()]) * over, over])


def _count(term: Term) -> Tensor:
    return torch.as_tensor(term.count, dtype=torch.float64, device=term.mean.device)


def adamw(
    objective: Objective, recipe: TrainingRecipe, parameters: Mapping[str, Tensor]
) -> torch.optim.AdamW:
    """The optimiser; each group keeps its full step size under "full_lr"."""
    rates = {"main": recipe.lr, "backbone": recipe.backbone_lr or recipe.lr}
    groups = [
        {"params": [parameters[name] for name in names], "full_lr": rates[group]}
        for group, names in objective.groups().items()
        if names
    ]
    return torch.optim.AdamW(
        groups, recipe.lr, eps=recipe.adam_eps, weight_decay=recipe.weight_decay, fused=True
    )

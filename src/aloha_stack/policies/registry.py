"""Which policies there are, and the class behind each; imported only when it is needed."""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from aloha_stack.policies.policy import Policy, PolicyError, PolicySpec

_RECURRENT = "aloha_stack.policies.recurrent_policy:RecurrentPolicy"
_POLICIES = {
    "act": "aloha_stack.policies.act_policy:ActPolicy",
    "each_layer_lstm": _RECURRENT,
    "cnnrnn": _RECURRENT,
    "cae_rnn": _RECURRENT,
    "sarnn": _RECURRENT,
    "cae": _RECURRENT,
    "cloning": "aloha_stack.policies.cloning:CloningPolicy",
    "byol": "aloha_stack.policies.byol:ByolEncoders",
    "vinn": "aloha_stack.policies.vinn:VinnPolicy",
    "snds": "aloha_stack.policies.snds:SndsPolicy",
}


class Restorable(Protocol):
    """A policy class that a checkpoint can be made of again."""

    def restore(
        self,
        spec: PolicySpec,
        config: Mapping[str, Any],
        statistics: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        device: str,
        backend: str,
    ) -> Policy:
        """The policy, ready to act. Raises PolicyError for parts that do not fit."""


def policy_names() -> list[str]:
    """What `policy` of a spec may be."""
    return sorted(_POLICIES)


def policy_class(name: str) -> Restorable:
    """The class of a policy. Raises PolicyError, which lists the policies that exist."""
    if name not in _POLICIES:
        raise PolicyError(f"there is no policy '{name}'; there are {', '.join(policy_names())}")
    module, attribute = _POLICIES[name].split(":")
    found: Restorable = getattr(importlib.import_module(module), attribute)
    return found

"""The recurrent networks by the names of their policies, and the auto-encoder that starts some."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from aloha_stack.policies.cae import Cae, CaeConfig
from aloha_stack.policies.cae_rnn import CaeRnn, CaeRnnConfig
from aloha_stack.policies.cnnrnn import CnnRnn, CnnRnnConfig
from aloha_stack.policies.each_layer_lstm import EachLayerConfig, EachLayerLstm
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.recurrent_config import RecurrentConfig
from aloha_stack.policies.sarnn import Sarnn, SarnnConfig

CAE = "cae"
NETWORKS: Mapping[str, tuple[type[RecurrentConfig], type[nn.Module]]] = {
    "each_layer_lstm": (EachLayerConfig, EachLayerLstm),
    "cnnrnn": (CnnRnnConfig, CnnRnn),
    "cae_rnn": (CaeRnnConfig, CaeRnn),
    "sarnn": (SarnnConfig, Sarnn),
    CAE: (CaeConfig, Cae),
}


def config_of(policy: str, sizes: Mapping[str, Any]) -> RecurrentConfig:
    """A network's config from what JSON or YAML says. Raises PolicyError, which names the key."""
    if policy not in NETWORKS:
        raise PolicyError(f"no recurrent network '{policy}'; there are {', '.join(NETWORKS)}")
    return NETWORKS[policy][0].from_dict(sizes)


def network_of(policy: str, config: RecurrentConfig) -> nn.Module:
    """The network, with start weights from torch's generator."""
    network: nn.Module = NETWORKS[policy][1](config)
    return network


def without_start(policy: str, config: RecurrentConfig) -> nn.Module:
    """The network for weights that are loaded at once: none are drawn from torch's generator."""
    with torch.random.fork_rng(devices=[]):
        return network_of(policy, config)

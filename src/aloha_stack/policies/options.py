"""What a policy may be told beside its checkpoint: how its network is computed, and names and
values of its own, as input_param=0.8."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from aloha_stack.policies.policy import Policy, PolicyError

EAGER, FAST, INT8, AUTO = "eager", "fast", "int8", "auto"
BACKENDS = (EAGER, FAST, INT8, AUTO)
"""How a network is computed: as it was trained; with all that is constant computed once, rounded to
bfloat16 where that is faster (policies/fast_act.py); so, and the heaviest products of whole numbers
of eight bits where the processor has AVX-512 VNNI and BF16 (policies/fast_bytes.py); what is best
for rollouts, which is FAST. Policies without such a form are computed by the one before it."""


def check_backend(backend: str) -> None:
    """Raises PolicyError for a word that is none of BACKENDS."""
    if backend not in BACKENDS:
        raise PolicyError(f"there is no backend '{backend}'; there is {', '.join(BACKENDS)}")


@runtime_checkable
class Adjustable(Protocol):
    """A policy with options."""

    def adjust(self, name: str, value: str) -> None:
        """Raises PolicyError for an option that there is not, or a value that cannot be."""


def options_of(text: str) -> dict[str, str]:
    """From "NAME=VALUE,NAME=VALUE"; empty from "". Raises PolicyError."""
    options: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, mark, value = part.partition("=")
        if not mark or not name.strip() or name.strip() in options:
            raise PolicyError(
                f"policy option '{part}': expected NAME=VALUE, each name once, as input_param=0.8"
            )
        options[name.strip()] = value.strip()
    return options


def adjust(policy: Policy, options: Mapping[str, str]) -> None:
    """Tells a policy its options. Raises PolicyError."""
    if options and not isinstance(policy, Adjustable):
        raise PolicyError(
            f"policy '{policy.spec.policy}' has no options, found {', '.join(options)}"
        )
    if isinstance(policy, Adjustable):
        for name, value in options.items():
            policy.adjust(name, value)

"""What a policy may be told beside its checkpoint: names and values, as input_param=0.8."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from aloha_stack.policies.policy import Policy, PolicyError


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

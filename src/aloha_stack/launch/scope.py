"""The state in which a launch file is read: launch configurations, environment, ROS namespace.

As upstream, the pushed namespace is itself a launch configuration (`ros_namespace`), so that
whatever scopes the configurations scopes the namespace too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from aloha_stack.launch.packages import find_share
from aloha_stack.launch.substitutions import Call, Template, Text
from aloha_stack.launch.values import read_bool

NAMESPACE = "ros_namespace"

UNSUPPORTED = (
    "launch-prefix",
    "launch-prefix-filter",
    "emulate_tty",
    "global_params",
    "ros_remaps",
)
"""Launch configurations that change how upstream starts a process; setting them is refused."""


class ExpansionError(ValueError):
    """A substitution that has no value here."""


@dataclass
class Scope:
    """Configurations and environment at one point of the reading.

    `base` is the environment that the launch was started in, `changes` what the file has set.
    """

    base: Mapping[str, str]
    configurations: dict[str, str] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment that a process started here would get."""
        return {**self.base, **self.changes}

    def copy(self) -> "Scope":
        """A scope of its own: what is set in it is not seen outside."""
        return Scope(self.base, dict(self.configurations), dict(self.changes))

    def configure(self, name: str, value: str) -> None:
        """Sets a launch configuration.

        Raises:
            ExpansionError: the configuration would change how processes are started.
        """
        if name in UNSUPPORTED:
            raise ExpansionError(f"launch configuration '{name}' is not supported")
        self.configurations[name] = value

    def expand(self, template: Template) -> str:
        """The text of a template, with every substitution carried out.

        Raises:
            ExpansionError: an unknown configuration or variable, or a value that is no boolean.
            LaunchError: an unknown package.
        """
        return "".join(
            part.text if isinstance(part, Text) else self._perform(part) for part in template
        )

    def _perform(self, call: Call) -> str:
        arguments = [self.expand(argument) for argument in call.arguments]
        first, *more = arguments
        match call.name:
            case "var":
                return self._look_up(self.configurations, "launch configuration", first, more)
            case "env":
                return self._look_up(self.environment, "environment variable", first, more)
            case "find-pkg-share":
                return str(find_share(first, self.environment))
            case "equals":
                return _word(_equal(first, more[0]))
            case "not":
                return _word(not _bool(call, first))
            case "and":
                left, right = (_bool(call, argument) for argument in arguments)
                return _word(left and right)
            case "or":
                left, right = (_bool(call, argument) for argument in arguments)
                return _word(left or right)
        raise AssertionError(f"substitution '{call.name}' is parsed but not carried out")

    @staticmethod
    def _look_up(values: Mapping[str, str], kind: str, name: str, default: list[str]) -> str:
        if name in values:
            return values[name]
        if default:
            return default[0]
        known = ", ".join(sorted(values)) if kind == "launch configuration" else ""
        hint = f"; set are: {known or 'none'}" if kind == "launch configuration" else ""
        raise ExpansionError(f"{kind} '{name}' is not set and '$(…)' gives no default{hint}")


def read_condition(text: str) -> bool:
    """What `if` and `unless` make of a text: true or 1, false or 0, in any case, with any margin.

    Raises:
        ExpansionError: anything else, also the empty text.
    """
    value = {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())
    if value is None:
        raise ExpansionError(f"condition '{text}' is neither true, 1, false nor 0")
    return value


def _bool(call: Call, text: str) -> bool:
    try:
        return read_bool(text)
    except ValueError as problem:
        raise ExpansionError(f"'$({call.name} …)': {problem}") from problem


def _word(value: bool) -> str:
    return "true" if value else "false"


def _equal(left: str, right: str) -> bool:
    """Equality of `$(equals a b)`: of booleans (1 is true), else of numbers, else of text."""
    words = {"true": True, "1": True, "false": False, "0": False}
    if left.lower() in words and right.lower() in words:
        return words[left.lower()] == words[right.lower()]
    try:
        return math.isclose(float(left), float(right))
    except ValueError:
        return left == right

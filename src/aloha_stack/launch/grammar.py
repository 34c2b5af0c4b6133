"""The tags and attributes that are understood; whatever else a file holds is refused by name."""

from dataclasses import dataclass, field
from pathlib import Path

from aloha_stack.launch.substitutions import SubstitutionError, parse_template
from aloha_stack.launch.xml_file import Element, read_elements


@dataclass(frozen=True)
class Rule:
    """What one tag may hold.

    `plain` are the attributes that are taken as written: substitutions in them have no meaning.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    children: dict[str, "Rule"] = field(default_factory=dict)

    @property
    def attributes(self) -> tuple[str, ...]:
        """All attributes, the required ones first."""
        return self.required + self.optional


CONDITIONS = ("if", "unless")
_PAIR = Rule(required=("name", "value"))


def _action(required: tuple[str, ...] = (), *optional: str, **more: object) -> Rule:
    """The rule of a tag that takes the conditions as well."""
    return Rule(required, optional + CONDITIONS, **more)  # type: ignore[arg-type]


_NODE = _action(
    ("pkg", "exec"),
    *("name", "exec_name", "namespace", "args", "output"),
    *("sigterm_timeout", "sigkill_timeout", "on_exit"),
    plain=("sigterm_timeout", "sigkill_timeout", "on_exit"),
    children={
        "param": Rule(optional=("name", "value", "type", "from"), plain=("type",)),
        "remap": Rule(required=("from", "to")),
        "env": _PAIR,
    },
)


def _actions() -> dict[str, Rule]:
    actions = {
        "arg": _action(
            ("name",),
            *("default", "description"),
            plain=("name", "description"),
            children={"choice": Rule(required=("value",), plain=("value",))},
        ),
        "let": _action(("name", "value")),
        "set_env": _action(("name", "value")),
        "include": _action(("file",), children={"arg": _PAIR}),
        "push-ros-namespace": _action(("namespace",)),
        "push_ros_namespace": _action(("namespace",)),
        "node": _NODE,
    }
    actions["group"] = _action((), "scoped", plain=("scoped",), children=actions)
    return actions


ROOT = Rule(children=_actions())


def load_launch_file(file: Path) -> Element:
    """The checked `<launch>` element of a file: every tag, attribute, substitution is known.

    Raises:
        LaunchError: names the tag, attribute or substitution, with file and line.
    """
    root = read_elements(file)
    if root.tag != "launch":
        raise root.error(f"the outermost tag is <{root.tag}>, expected <launch>")
    _check(root, ROOT)
    return root


def _check(element: Element, rule: Rule) -> None:
    for name in element.attributes:
        if name not in rule.attributes:
            known = ", ".join(rule.attributes) or "none"
            raise element.error(
                f"attribute '{name}' of <{element.tag}> is not supported; known: {known}"
            )
    for name in rule.required:
        if name not in element.attributes:
            raise element.error(f"<{element.tag}> needs the attribute '{name}'")
    if all(condition in element.attributes for condition in CONDITIONS):
        raise element.error(f"<{element.tag}> has both 'if' and 'unless'; use one")
    for name, text in element.attributes.items():
        if name not in rule.plain:
            try:
                parse_template(text)
            except SubstitutionError as problem:
                raise element.error(f"attribute '{name}': {problem}") from problem
    for child in element.children:
        if child.tag not in rule.children:
            known = ", ".join(f"<{tag}>" for tag in rule.children) or "none"
            raise child.error(
                f"<{child.tag}> is not supported inside <{element.tag}>; known: {known}"
            )
        _check(child, rule.children[child.tag])

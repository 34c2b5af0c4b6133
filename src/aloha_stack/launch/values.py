"""The types of parameter values: what `value="…"` and `type="…"` mean (launch, branch jazzy).

Without a type the text is read as YAML, so `2` is an integer, `2.0` a float, `true` a boolean and
`[a, b]` a list of strings; what a substitution brings is read the same way. A list has one type.
"""

from collections.abc import Callable

import yaml

from aloha_stack.launch.substitutions import Template, Text, parse_template

Scalar = str | int | float | bool
Value = Scalar | list[Scalar]
Expand = Callable[[Template], str]

TYPES: dict[str, type | None] = {
    "str": str,
    "bool": bool,
    "int": int,
    "float": float,
    "yaml": None,
}
"""`type` of a scalar; `list_of_…` of the first four are the lists."""

TYPE_NAMES = (*TYPES, *(f"list_of_{name}" for name in TYPES if name != "yaml"))


def read_bool(text: str) -> bool:
    """A boolean as the substitutions and, or, not read it: `1`, `0` or a boolean of YAML.

    Raises:
        ValueError: the text is none of these.
    """
    value = {"1": True, "0": False}.get(text)
    if value is None and text:
        loaded = _load_yaml(text)
        value = loaded if isinstance(loaded, bool) else None
    if value is None:
        raise ValueError(f"'{text}' is not a boolean; expected true, false, 1 or 0")
    return value


def parameter_value(written: str, type_name: str | None, expand: Expand) -> Value:
    """The value of a parameter as written in the file, with its substitutions carried out.

    Raises:
        ValueError: the text, or what the substitutions made of it, is not of the type.
        SubstitutionError: a substitution in it is malformed.
    """
    kind, is_list = _kind(type_name)
    parts = _read(written, kind, is_list)
    if isinstance(parts, list):
        fixed = {type(item) for item in parts if _is_fixed(item)}
        if len(fixed) > 1:
            raise ValueError(f"the list '{written}' mixes types")
        values = []
        for item in parts:
            value = _expanded(item, None if _is_fixed(item) else kind, expand)
            if isinstance(value, list):
                raise ValueError(f"the list '{written}' has a list in it")
            values.append(value)
        if kind is not None and not all(isinstance(value, kind) for value in values):
            raise ValueError(f"'{written}' is not a list of {kind.__name__}")
        _check_allowed(values, written)
        return values
    return _expanded(parts, kind, expand)


def _kind(type_name: str | None) -> tuple[type | None, bool]:
    if type_name is None:
        return None, False
    if type_name not in TYPE_NAMES:
        raise ValueError(f"type '{type_name}' is not supported; known: {', '.join(TYPE_NAMES)}")
    is_list = type_name.startswith("list_of_")
    return TYPES[type_name.removeprefix("list_of_")], is_list


def _read(written: str, kind: type | None, is_list: bool) -> Value:
    """The text before substitution; a string may still hold substitutions."""
    if is_list:
        value = _load_yaml(written)
        if not isinstance(value, list):
            raise ValueError(f"'{written}' is not a list")
        return value
    if kind is not None or not written:
        return written
    try:
        value = _load_yaml(written)
    except ValueError:
        return written
    if isinstance(value, list):
        kinds = {type(item) for item in value} - {str}
        if len(kinds) > 1:
            raise ValueError(f"the list '{written}' mixes types")
    _check_scalars(value if isinstance(value, list) else [value], written)
    return value


def _is_fixed(item: Scalar) -> bool:
    """Whether an item of a list stands in the file as it is, so that its type is known."""
    return not isinstance(item, str) or all(isinstance(part, Text) for part in parse_template(item))


def _expanded(item: Scalar, kind: type | None, expand: Expand) -> Value:
    """One scalar after substitution; a string without substitutions keeps its type."""
    if not isinstance(item, str):
        return item
    text = expand(parse_template(item))
    return text if kind is None and _is_fixed(item) else coerce(text, kind)


def coerce(text: str, kind: type | None) -> Value:
    """What a text means as a `kind` (None: by the rules of YAML).

    Raises:
        ValueError: it does not mean any.
    """
    if kind is str or (kind is None and not text):
        return text
    if kind is bool:
        return read_bool(text)
    if kind is int or kind is float:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"'{text}' is not of type {kind.__name__}") from None
    value = _load_yaml(text)
    _check_allowed(value if isinstance(value, list) else [value], text)
    return value


def _check_allowed(values: list[Scalar], written: str) -> None:
    _check_scalars(values, written)
    first = next((type(value) for value in values if not isinstance(value, str)), str)
    if not all(isinstance(value, first) for value in values):
        raise ValueError(f"the list '{written}' mixes types")


def _check_scalars(values: list[Scalar], written: str) -> None:
    for value in values:
        if not isinstance(value, (str, int, float, bool)):
            raise ValueError(
                f"'{written}' is a {type(value).__name__}; expected a string, an integer, "
                "a float, a boolean or a list of one of these"
            )


def _load_yaml(text: str) -> Value:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise ValueError(f"'{text}' cannot be read as YAML") from problem

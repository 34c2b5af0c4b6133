"""The types that parameters get, as upstream infers them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.launch.errors import LaunchError
from aloha_stack.launch.values import parameter_value

Read = Callable[..., dict[str, object]]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2", 2),
        ("-3", -3),
        ("2.0", 2.0),
        ("1e-3", "1e-3"),
        ("1.0e-3", 0.001),
        ("true", True),
        ("off", False),
        ("hello world", "hello world"),
        ("", ""),
        ("'2'", "2"),
        ("[1, 2]", [1, 2]),
        ("[a, b]", ["a", "b"]),
        ("['']", [""]),
        ("a:b", "a:b"),
        ("$(var n)", 7),
        ("$(var n)0", 70),
        ("'$(var n)'", 7),
        ("[$(var n), 2]", [7, 2]),
        ("[x, $(var word)]", ["x", "fast"]),
        ("$(var items)", [1.5, 2.5]),
        ("$(equals a a)", True),
    ],
)
def test_a_value_is_read_as_yaml_before_and_after_substitution(
    parameters_of: Read, written: str, value: object
) -> None:
    read = parameters_of(
        f'<param name="p" value="{written}"/>', n="7", word="fast", items="[1.5, 2.5]"
    )["p"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("type_name", "written", "value"),
    [
        ("str", "$(var n)", "7"),
        ("str", "12", "12"),
        ("float", "1", 1.0),
        ("int", "$(var n)", 7),
        ("bool", "1", True),
        ("yaml", "[1, 2]", [1, 2]),
        ("list_of_int", "[1, $(var n)]", [1, 7]),
        ("list_of_str", "[a, $(var n)]", ["a", "7"]),
        ("list_of_float", "[1.5, $(var n)]", [1.5, 7.0]),
    ],
)
def test_a_type_rules_how_a_value_is_read(
    parameters_of: Read, type_name: str, written: str, value: object
) -> None:
    read = parameters_of(f'<param name="p" value="{written}" type="{type_name}"/>', n="7")["p"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ('value="[a, 1]"', "mixes types"),
        ('value="[1, 2.0]"', "mixes types"),
        ('value="{a: 1}"', "is a dict"),
        ('value="null"', "NoneType"),
        ('value="[[1]]"', "is a list"),
        ('value="2020-01-01"', "date"),
        ('value="x" type="int"', "'x' is not of type int"),
        ('value="maybe" type="bool"', "not a boolean"),
        ('value="[a]" type="list_of_int"', "not a list of int"),
        ('value="1" type="long"', "type 'long' is not supported; known: str, bool"),
    ],
)
def test_a_value_that_fits_no_parameter_is_refused_by_name(
    parameters_of: Read, attributes: str, problem: str
) -> None:
    with pytest.raises(LaunchError, match=f"parameter 'p':.*{problem}"):
        parameters_of(f'<param name="p" {attributes}/>')


@given(st.text(), st.sampled_from([None, "int", "bool", "float", "list_of_int", "list_of_str"]))
def test_any_text_has_a_value_or_is_refused(written: str, type_name: str | None) -> None:
    try:
        value = parameter_value(written, type_name, lambda _: "")
    except ValueError:
        return
    items = value if isinstance(value, list) else [value]
    assert all(isinstance(item, (str, int, float)) for item in items)

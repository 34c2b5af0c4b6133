"""The `$(…)` language: what it means, and what it refuses."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.launch.scope import ExpansionError, Scope, read_condition
from aloha_stack.launch.substitutions import SubstitutionError, Text, parse_template

SCOPE = Scope({"SET": "from env"}, {"one": "1", "name": "twin", "spaced": "two words"})


def expand(text: str) -> str:
    return SCOPE.expand(parse_template(text))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain $5 (text)", "plain $5 (text)"),
        ("a$(var one)b$(var name)", "a1btwin"),
        (r"\$(var one)", "$(var one)"),
        ("$(var nowhere default)", "default"),
        ("$(env SET)", "from env"),
        ("$(env UNSET $(env ALSO_UNSET /tmp)/x_$(var one))", "/tmp/x_1"),
        ("$(env UNSET '')", ""),
        ("$(env UNSET 'two words')", "two words"),
        ('$(env UNSET "it\'s ($(var name))")', "it's (twin)"),
        (r"$(env UNSET a\(b\))", "a(b)"),
        ("$(equals $(var name) twin)", "true"),
        ("$(equals $(var name) aloha)", "false"),
        ("$(equals 1 True)", "true"),
        ("$(equals 1.0 1)", "true"),
        ("$(equals '$(var spaced)' 'two words')", "true"),
        ("$(not $(equals 0 false))", "false"),
        ("$(and yes 1)", "true"),
        ("$(and yes off)", "false"),
        ("$(or no 0)", "false"),
        ("$(or no true)", "true"),
    ],
)
def test_a_template_expands_to(template: str, text: str) -> None:
    assert expand(template) == text


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("$(eval 1 + 1)", "'\\$\\(eval …\\)' is not supported; known: var, env"),
        ("$(dirname)", "dirname"),
        ("$(var)", "has 0 arguments, expected 1 or 2"),
        ("$(not a b)", "has 2 arguments, expected 1"),
        ("$(var one", "'\\)' expected"),
        ("$(env  UNSET x)", "parted by one space"),
        ("$(var 'one)", "quote"),
        ("$( var one)", "name must follow"),
        ("$(equals a '')", "empty argument"),
    ],
)
def test_a_malformed_template_is_refused(template: str, problem: str) -> None:
    with pytest.raises(SubstitutionError, match=problem):
        parse_template(template)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("$(var nowhere)", "'nowhere' is not set.*set are: name, one, spaced"),
        ("$(env NOWHERE)", "'NOWHERE' is not set"),
        ("$(not maybe)", "'maybe' is not a boolean"),
        ("$(and true '')", "not a boolean"),
    ],
)
def test_a_substitution_without_a_value_is_refused(template: str, problem: str) -> None:
    with pytest.raises(ExpansionError, match=problem):
        expand(template)


@pytest.mark.parametrize(("text", "value"), [(" TRUE ", True), ("1", True), ("False", False)])
def test_a_condition_is_read_without_regard_to_case_and_margin(text: str, value: bool) -> None:
    assert read_condition(text) is value


@pytest.mark.parametrize("text", ["", "yes", "2", "maybe"])
def test_a_condition_takes_nothing_else(text: str) -> None:
    with pytest.raises(ExpansionError, match="neither"):
        read_condition(text)


@given(st.text().filter(lambda text: "$(" not in text and "\\" not in text))
def test_text_without_substitutions_stands_for_itself(text: str) -> None:
    assert parse_template(text) == ((Text(text),) if text else ())


@given(st.text(alphabet="$()'\" \\varenvnotequals1"))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    with contextlib.suppress(SubstitutionError, ExpansionError):
        expand(text)

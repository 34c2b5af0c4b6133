"""Several publishers where there must be one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.control.voices import UNKNOWN, WINDOW_S, Voices


def heard(numbers: list[int], period_s: float = 0.05) -> str:
    """What is said after the last of messages with these sequence numbers."""
    voices, said = Voices("two"), ""
    for k, number in enumerate(numbers):
        said = voices.hear({"publication_sequence_number": number}, period_s * k)
    return said


@pytest.mark.parametrize("first", [1, 2, 5, 1000])
def test_two_that_speak_by_turns_are_noticed_whenever_they_began(first: int) -> None:
    numbers = [n for k in range(1, 6) for n in (k, first + k)]
    assert heard(numbers) == "two"


@given(st.lists(st.integers(1, 3), min_size=1), st.integers(1, 40))
def test_one_is_one_though_messages_are_lost_and_it_is_started_anew(
    steps: list[int], again: int
) -> None:
    before = [sum(steps[: k + 1]) for k in range(len(steps))]
    assert heard(before + list(range(1, again))) == ""


def test_who_has_ended_is_forgotten_after_a_while() -> None:
    voices = Voices("two")
    for k in range(1, 10):
        for number in (k, 100 + k):
            voices.hear({"publication_sequence_number": number}, 0.05 * k)
    assert voices.hear({"publication_sequence_number": 200}, 0.5) == "two"
    assert voices.hear({"publication_sequence_number": 300}, 0.5 + WINDOW_S) == ""


@pytest.mark.parametrize("about", [{}, {"publication_sequence_number": UNKNOWN}])
def test_a_middleware_that_does_not_number_messages_raises_no_alarm(about: dict) -> None:
    voices = Voices("two")
    assert {voices.hear(about, 0.05 * k) for k in range(10)} == {""}

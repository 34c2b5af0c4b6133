"""Keys as the operator's tool reads them from its standard input."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.nodes._operator_terminal import Terminal

SEQUENCES = (b"\x1b[A", b"\x1b[1;5D", b"\x1b[15~", b"\x1bOR", b"\x1bOP", b"\x1b[[E")
"""An arrow, one with Ctrl, F5, F3, F1, and F5 of the Linux console."""


@contextmanager
def keyboard() -> Iterator[tuple[Terminal, int]]:
    """A terminal, and the descriptor into which its keys go."""
    reading, writing = os.pipe()
    with (
        open(reading, "rb", buffering=0) as stdin,
        open(writing, "wb", buffering=0) as keys,
        open(os.devnull, "wb") as stdout,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stdin", stdin)
        patch.setattr(sys, "stdout", stdout)
        with Terminal() as terminal:
            terminal.open()
            yield terminal, keys.fileno()


def read(*bursts: bytes) -> str:
    """The keys of these bursts, each read by itself, and of the silence after them."""
    keys = []
    with keyboard() as (terminal, into):
        for burst in bursts:
            os.write(into, burst)
            keys.append(terminal.keys(1.0))
        keys.append(terminal.keys(0.0))
    assert None not in keys, "taken for the end of the input"
    return "".join(key for key in keys if key)


def test_the_end_of_the_input_is_told() -> None:
    with keyboard() as (terminal, into):
        assert terminal.keys(0.0) == ""
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), into)  # the last writer is gone
        assert terminal.keys(1.0) is None


@pytest.mark.parametrize("data", [b"\xe9", b"\xff\xfe", b"\xc3"])
def test_bytes_of_another_encoding_are_no_key_and_not_the_end(data: bytes) -> None:
    assert read(data) == ""
    assert read(data, b"e") == read(data + b"e") == "e"


def test_a_letter_that_comes_in_two_reads_is_one_key() -> None:
    assert read(b"\xc3", b"\xb6e") == "öe"


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_an_arrow_or_function_key_is_no_key_wherever_a_read_divides_it(sequence: bytes) -> None:
    assert read(sequence) == ""
    assert read(b"s" + sequence + b"e" + sequence) == "se"
    for cut in range(1, len(sequence)):
        assert read(sequence[:cut], sequence[cut:] + b"e") == "e"


def test_an_escape_by_itself_is_a_key() -> None:
    assert read(b"\x1b") == "\x1b"
    assert read(b"d\x1b", b"y") == "d\x1by"


@given(st.lists(st.binary(max_size=6) | st.sampled_from(SEQUENCES), max_size=6), st.booleans())
def test_an_e_is_never_lost_whatever_was_pressed_before(before: list[bytes], apart: bool) -> None:
    bursts = [burst for burst in before if burst]
    keys = read(*bursts, b"e") if apart else read(b"".join(bursts) + b"e")
    assert keys.endswith("e")

"""Bytes on a half-duplex line: when they arrive."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.twin.wire import Wire

MBAUD = 1_000_000


def test_an_answer_has_arrived_after_the_bytes_of_both():
    wire = Wire(MBAUD)
    wire.ask(1.0, 23)
    wire.answer(bytes(189))
    assert wire.due_s == pytest.approx(1.0 + 212 * 10e-6)
    assert wire.arrived(1.0 + 23 * 10e-6) == b""
    assert len(wire.arrived(1.0 + 24 * 10e-6)) == 1
    assert len(wire.arrived(1.0 + 123 * 10e-6)) == 99
    assert len(wire.arrived(wire.due_s)) == 89
    assert wire.due_s == math.inf


def test_the_host_waits_while_the_line_is_busy():
    wire = Wire(MBAUD)
    wire.ask(0.0, 59)  # a sync write, which nobody answers
    wire.ask(100e-6, 10)
    wire.answer(b"x" * 10)
    assert wire.due_s == pytest.approx(79 * 10e-6)
    wire.ask(200e-6, 10)  # while the answer is still to come
    wire.answer(b"y" * 10)
    assert wire.arrived(79 * 10e-6) == b"x" * 10
    assert wire.due_s == pytest.approx(99 * 10e-6)


def test_a_slow_line_takes_its_times_as_long():
    wire = Wire(MBAUD, slowness=10)
    wire.ask(0.0, 10)
    wire.answer(bytes(10))
    assert wire.due_s == pytest.approx(2e-3)


def test_a_line_without_wire_time_keeps_the_order():
    wire = Wire(MBAUD, slowness=10)
    wire.ask(0.0, 10)
    wire.answer(b"slow")
    wire.slowness = 0.0
    wire.ask(0.1e-3, 10)
    wire.answer(b"fast")
    assert wire.arrived(0.2e-3) == b""
    assert wire.arrived(1.0) == b"slowfast"


def test_what_nobody_listens_to_is_lost():
    wire = Wire(MBAUD)
    wire.ask(0.0, 10)
    wire.answer(bytes(10))
    wire.forget()
    assert wire.arrived(1.0) == b""
    wire.ask(0.0, 1)
    wire.answer(b"z")
    assert wire.due_s == pytest.approx(20e-6)


@given(
    st.lists(st.tuples(st.floats(0, 0.01), st.integers(1, 60), st.binary(max_size=80)), max_size=8),
    st.lists(st.floats(0, 0.02), max_size=8),
    st.sampled_from([9600, 57_600, MBAUD, 4_000_000]),
)
def test_no_byte_comes_early_is_lost_or_overtakes_another(talk, looks, baud):
    wire, asked_s, said, heard = Wire(baud), 0.0, b"", b""
    bytes_so_far = 0
    for pause_s, size, answer in talk:
        asked_s += pause_s
        wire.ask(asked_s, size)
        wire.answer(answer)
        said += answer
        bytes_so_far += size + len(answer)
    for now_s in sorted(looks):
        heard += wire.arrived(now_s)
        assert len(heard) <= max(0.0, now_s * baud / 10) + 1
    assert said.startswith(heard)
    last_s = asked_s + bytes_so_far * 10 / baud
    heard += wire.arrived(max([last_s, *looks]) + 1e-6)
    assert heard == said

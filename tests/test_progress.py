"""What is told where there is no terminal: a few lines, and hardly the same again."""

import io

import pytest

from aloha_stack import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_come_with_pauses_and_the_same_one_hardly_again(clock: list[float]) -> None:
    out = io.StringIO()
    told = progress.Progress(out)
    for second in range(130):
        clock[0] = 100.0 + second
        told.show("0 of 2" if second < 125 else "1 of 2")
    assert out.getvalue().splitlines() == ["  0 of 2"] * 3 + ["  1 of 2"]


def test_what_is_said_in_between_stays_and_the_next_line_comes_at_once(clock: list[float]) -> None:
    out = io.StringIO()
    told = progress.Progress(out)
    told.show("0 of 2")
    told.say("a warning")
    told.show("0 of 2")
    assert out.getvalue().splitlines() == ["  0 of 2", "a warning", "  0 of 2"]

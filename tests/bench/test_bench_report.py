"""What a bench writes: the agreed JSON, a table for people, an exit status."""

import json
import math
from pathlib import Path

import pytest

from aloha_stack.bench import __main__ as bench
from aloha_stack.bench.report import Bar, Report, Row, busy, machine

KEYS = ["metric", "value", "unit", "peer", "peer_value", "ratio", "bar", "holds"]
GOOD = Row("rate", 95.0, "Hz", "wire limit", 100.0, Bar("ratio", ">=", 0.92))
BAD = Row("cost", 13.0, "ms", bar=Bar("value", "<=", 12.0))
PLAIN = Row("load", 1, "%")


def report(*rows: Row) -> Report:
    return Report("bus", rows, machine())


def test_json_has_the_agreed_form(tmp_path: Path) -> None:
    file = tmp_path / "bus.json"
    report(GOOD, PLAIN).write(file)
    found = json.loads(file.read_text())
    assert list(found) == ["bench", "machine", "rows"]
    assert found["bench"] == "bus"
    assert set(found["machine"]) == {"cores", "cpu", "python", "kernel", "load_average"}
    assert all(list(row) == KEYS for row in found["rows"])
    rate, load = (list(row.values()) for row in found["rows"])
    assert rate == ["rate", 95.0, "Hz", "wire limit", 100.0, 0.95, "ratio >= 0.92", True]
    assert load == ["load", 1, "%", None, None, None, None, None]


def test_what_is_not_finite_is_null_and_reaches_no_bar(tmp_path: Path) -> None:
    row = Row("rate", math.nan, "Hz", bar=Bar("value", ">=", 0.0))
    endless = Row("motion", math.inf, "rad", bar=Bar("value", "<=", 1.0))
    report(row, endless).write(tmp_path / "f")
    found = json.loads((tmp_path / "f").read_text())["rows"]
    assert [one["value"] for one in found] == [None, None]
    assert [one["holds"] for one in found] == [False, False]


def test_what_was_not_measured_reaches_no_bar() -> None:
    assert Row("detection", None, "s", bar=Bar("value", "<=", 0.2)).holds is False
    assert Row("rate", 1.0, "Hz", "peer", 0.0, Bar("ratio", ">=", 0.5)).holds is False


@pytest.mark.parametrize(
    ("rows", "status"), [((GOOD, PLAIN), 0), ((GOOD, BAD), 1), ((), 0), ((PLAIN,), 0)]
)
def test_the_exit_status_tells_whether_every_bar_holds(rows: tuple[Row, ...], status: int) -> None:
    assert report(*rows).status == status


def test_the_table_names_what_does_not_hold() -> None:
    text = report(GOOD, BAD).table()
    assert text.splitlines()[-1] == "does not hold: cost"
    assert "ratio >= 0.92" in text
    assert report(GOOD).table().splitlines()[-1] == "all bars hold"


def test_a_wrong_bench_is_refused_with_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["busses"]) == 2
    error = capsys.readouterr().err
    assert "busses" in error
    assert all(one.name in error for one in bench.BENCHES)


def test_without_a_name_the_benches_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main([]) == 2
    shown = capsys.readouterr().out
    assert all(one.does in shown for one in bench.BENCHES)


@pytest.mark.parametrize(("load", "warns"), [(0.1, False), (1.9, True)])
def test_a_busy_machine_is_told(load: float, warns: bool) -> None:
    words = busy({"cores": 2, "load_average": [load, 0.0, 0.0]})
    assert bool(words) == warns
    assert not warns or "load 1.9 on 2 cores" in words

"""The loop bench: what it counts of ticks, its bars, and that its graph plays a policy's chunks."""

import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aloha_stack.bench import loop_empty
from aloha_stack.bench.footage import footage
from aloha_stack.bench.loop import main, outcome_rows
from aloha_stack.bench.loop_graph import EMPTY_LOOP, Outcome, measure, measure_alone
from aloha_stack.bench.loop_model import save_untrained
from aloha_stack.bench.loop_ticks import PERIOD_NS, Ticks, ticks
from aloha_stack.policies.act_config import ActConfig
from dynamixel.bus_conformance import eventually
from unstalled import unstalled

SMALL = ActConfig(
    hidden=16,
    heads=2,
    feedforward=16,
    encoder_layers=1,
    decoder_layers=1,
    cvae_layers=1,
    backbone="light",
    stages=(8, 8),
    stem_kernel=16,
    stem_stride=16,
)


def at(*slots: float) -> np.ndarray:
    """Ticks at these places of a schedule, counted in periods."""
    return np.array([10**18 + round(slot * PERIOD_NS) for slot in slots], np.int64)


def test_ticks_on_time_have_no_error() -> None:
    found = ticks(at(0, 1, 2, 3))
    assert (found.count, found.skipped, found.percentile(99)) == (4, 0, 0.0)


def test_a_late_tick_is_an_error_of_two_periods_and_skips_none() -> None:
    found = ticks(at(0, 1, 2.6, 3, 4))
    np.testing.assert_allclose(found.error_ms, [0, 12, 12, 0], atol=1e-6)
    assert found.skipped == 0


def test_a_tick_later_than_a_period_skips_one() -> None:
    assert ticks(at(0, 1, 3.1, 4, 7, 8)).skipped == 1 + 2


def test_a_loop_that_never_ticked_is_no_good_one() -> None:
    found = ticks(np.empty(0, np.int64))
    assert (found.count, found.skipped) == (0, 0)
    assert np.isnan(found.percentile(99))


EVEN = Ticks(3000, 0, np.full(2999, 0.1))
TOLD = {"inference_s": [0.3, 0.2, 0.9], "chunks": 200, "refused": 0, "holds": 0, "held_s": 0.0}
TOLD |= {"gaps": 0, "jumps": 0}
GOOD = Outcome(EVEN, EVEN, np.full(3000, 0.5), TOLD, {"policy": 90.0})
LATE = np.r_[np.full(2900, 0.1), np.full(99, 2.5)]


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, []),
        ({"player": replace(EVEN, error_ms=LATE)}, ["chunk_player: period error, p99"]),
        ({"player": replace(EVEN, error_ms=np.empty(0))}, ["chunk_player: period error, p99"]),
        ({"player": replace(EVEN, skipped=1)}, ["chunk_player: ticks skipped, of 3001"]),
        ({"player": replace(EVEN, skipped=1), "empty": replace(EVEN, skipped=1)}, []),
        ({"told": {**TOLD, "jumps": 1}}, ["commands: jumps"]),
    ],
)
def test_each_bar_is_about_what_it_says(change: dict[str, object], missed: list[str]) -> None:
    rows = outcome_rows(replace(GOOD, **change), EVEN)  # type: ignore[arg-type]
    assert [row.metric for row in rows if row.holds is False] == missed
    figures = {row.metric: row.value for row in rows}
    assert figures["a chunk, median"] == 300.0
    assert figures["a chunk, slowest"] == 900.0


def test_an_empty_loop_tells_when_it_woke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(command: list[str], check: bool) -> None:
        loop_empty.main(Path(command[3]), *map(float, command[4:]))

    monkeypatch.setattr(subprocess, "run", here)
    with unstalled():
        found = measure_alone(0.5, tmp_path)
    assert found.count + found.skipped == pytest.approx(25, abs=2)


def sleeps(pid: int) -> int:
    """How often it has gone to sleep."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)[0])


def test_an_empty_loop_goes_on_until_it_is_interrupted(tmp_path: Path) -> None:
    out = tmp_path / "woke"
    command = [sys.executable, "-m", EMPTY_LOOP, str(out), "500"]
    process = subprocess.Popen(command)
    assert eventually(out.exists)
    before = sleeps(process.pid)
    assert eventually(lambda: sleeps(process.pid) > before + 15)
    process.send_signal(signal.SIGINT)
    assert process.wait(10.0) == 0
    woke = np.fromfile(out, np.int64)
    assert (np.diff(woke) > 0).all()
    assert len(woke) > 10


def test_the_graph_plays_what_the_policy_makes_of_the_pictures(tmp_path: Path) -> None:
    model = save_untrained(tmp_path / "model", SMALL)
    said: list[str] = []
    pictures = footage(tmp_path / "footage", count=3)
    found = measure(2.0, model, pictures, tmp_path, lambda text, part: said.append(text))
    told = found.told
    slots = found.player.count + found.player.skipped
    assert slots >= 95  # a machine that stands still ends it late
    starved = found.player.skipped > 0.2 * slots  # then the network had no turn at all
    assert told["chunks"] >= 1 or starved
    assert told["jumps"] == 0
    assert told["gaps"] <= found.player.skipped
    assert len(told["inference_s"]) > 0
    assert found.player.count == len(found.heard_ms)
    assert found.empty.count + found.empty.skipped == pytest.approx(slots, rel=0.2)
    assert set(found.cpu_percent) == {"camera node", "policy", "chunk_player", "arms", "empty loop"}
    assert "2 s of ticks" in said


def test_a_checkpoint_that_is_none_is_a_fault_of_the_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--checkpoint", str(tmp_path / "none"), "--folder", str(tmp_path)]) == 2
    assert "there is no such folder" in capsys.readouterr().err

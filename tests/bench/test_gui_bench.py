"""The bench of the panel: which ticks it holds against it, and how it reads its figures."""

from dataclasses import replace

import numpy as np
import pytest

from aloha_stack.bench.gui import phase_rows
from aloha_stack.bench.gui_graph import ARM, Phase, _phases
from aloha_stack.bench.gui_life import ALONE, HUNG, OPENING, PHASES, SHOWN
from aloha_stack.bench.loop_ticks import PERIOD_NS, Ticks

EVEN = Ticks(500, 0, np.zeros(499))
GOOD = Phase(EVEN, EVEN, 10.0, 12.0, 39.5, 0.0, 100.0)
BEGUN_NS = 10**18


def status(**changes: Phase) -> bool:
    rows = phase_rows(dict.fromkeys(PHASES, GOOD) | changes)
    return all(row.holds is not False for row in rows)


def skipping(count: int) -> Ticks:
    return replace(EVEN, skipped=count)


def test_a_panel_that_costs_nothing_holds_all_bars() -> None:
    assert status()


@pytest.mark.parametrize(
    ("phase", "found"),
    [
        (OPENING, replace(GOOD, player=skipping(2))),
        (HUNG, replace(GOOD, player=skipping(2))),
        (HUNG, replace(GOOD, bridge_late=3.0)),
        (HUNG, replace(GOOD, bridge_late=float("nan"))),
        (SHOWN, replace(GOOD, cpu_percent=26.0)),
        (SHOWN, replace(GOOD, previews_hz=20.0)),
    ],
)
def test_what_the_panel_costs_is_held_against_it(phase: str, found: Phase) -> None:
    assert not status(**{phase: found})


def test_what_the_machine_costs_is_not() -> None:
    assert status(**{HUNG: replace(GOOD, player=skipping(2), empty=skipping(2))})
    assert status(
        **{
            ALONE: replace(GOOD, player=skipping(1)),
            HUNG: replace(GOOD, player=skipping(2), seconds=20.0),
        }
    )


def test_a_bridge_is_counted_over_the_time_in_which_the_panel_slept() -> None:
    def figures(second: int, cycles: int, late: int) -> dict[str, object]:
        counters = {"cycles": {ARM: cycles}, "overruns": {ARM: late}}
        return {"time_ns": BEGUN_NS + second * 10**9, "pictures": 40 * second, **counters}

    heard = [figures(1, 100, 0), figures(2, 200, 0), figures(7, 700, 4)]
    silent = {"time_ns": BEGUN_NS + 3 * 10**9, "pictures": 120, "cycles": {}, "overruns": {}}
    spans = {name: (second, second + 1) for second, name in enumerate(PHASES)} | {HUNG: (3, 6)}
    life = {
        "phases": [
            {
                "name": name,
                "begin_ns": BEGUN_NS + begin * 10**9,
                "end_ns": BEGUN_NS + end * 10**9,
                "cpu_s": 0.2,
            }
            for name, (begin, end) in spans.items()
        ],
        "figures": [*heard[:2], silent, heard[2]],
    }
    ticked = BEGUN_NS + PERIOD_NS * np.arange(500)
    hung = _phases(life, ticked, ticked)[HUNG]
    assert (hung.bridge_late, hung.bridge_hz) == (4, 100.0)
    assert hung.player.skipped == 0
    assert hung.cpu_percent == pytest.approx(20.0 / 3)

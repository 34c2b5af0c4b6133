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


def lived(figures: list[dict[str, object]]) -> dict[str, Phase]:
    """Shown from second 2 to 12, hung until 22; the bridge cycles a hundred times a second."""
    spans = dict.fromkeys(PHASES, (0, 1)) | {SHOWN: (2, 12), HUNG: (12, 22)}
    phases = [
        {"name": name, "begin_ns": ns(begin), "end_ns": ns(end), "cpu_s": 0.2}
        for name, (begin, end) in spans.items()
    ]
    ticked = BEGUN_NS + PERIOD_NS * np.arange(1200)
    return _phases({"phases": phases, "figures": figures}, ticked, ticked)


def ns(second: float) -> int:
    return BEGUN_NS + round(second * 1e9)


def figures(second: float, pictures: int, cycles: int, late: int = 0) -> dict[str, object]:
    counters = {"cycles": {ARM: cycles}, "overruns": {ARM: late}}
    return {"time_ns": ns(second), "pictures": pictures, **counters}


AWAKE = [figures(0.5 + k, 40 * k, 100 * k) for k in range(12)]


def test_pictures_are_counted_while_the_panel_is_looked_at_and_not_while_it_hangs() -> None:
    found = lived([*AWAKE, figures(23.5, 480, 2300)])
    assert found[SHOWN].previews_hz == pytest.approx(40)
    assert found[SHOWN].bridge_hz == pytest.approx(100)


def test_a_bridge_is_counted_over_the_time_in_which_the_panel_slept() -> None:
    before = {"time_ns": ns(11.9), "pictures": 480, "cycles": {}, "overruns": {}}
    old_view = figures(22.1, 480, 1100)
    hung = lived([*AWAKE, before, old_view, figures(23.5, 500, 2300, late=4)])[HUNG]
    assert (hung.bridge_late, hung.bridge_hz) == (4, 100.0)
    assert hung.player.skipped == 0
    assert hung.cpu_percent == pytest.approx(2.0)

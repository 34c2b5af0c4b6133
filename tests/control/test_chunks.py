"""Chunks into targets: the paper's average, and a smooth stream whenever chunks arrive."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.control.chunks import ChunkRefused, ChunkSchedule, TimeWentBack
from control.chunk_rig import DT_NS, DT_S, WIDTH, Run, Sent, columns, inferred, play, swing

few = settings(max_examples=60, deadline=None)
modes = st.sampled_from(["latest", "ensemble"])


# -- whose rows count -----------------------------------------------------------------------


def papers(chunks: np.ndarray, tick: int, m: float) -> np.ndarray:
    """The paper's way, as its authors' program goes about it: a table of all predictions for each
    step (made at, made for), and exp(-m i) over the filled rows of one column, the oldest first.
    Chunks (ticks, n, 14), one made at each tick."""
    ticks, n, _ = chunks.shape
    table = np.full((ticks, ticks + n, WIDTH), np.nan)
    for made in range(tick + 1):
        table[made, made : made + n] = chunks[made]
    filled = table[:, tick][~np.isnan(table[:, tick, 0])]
    weights = np.exp(-m * np.arange(len(filled)))
    return (filled * (weights / weights.sum())[:, None]).sum(axis=0)


@few
@given(
    rows=st.integers(2, 40),
    m=st.floats(-0.2, 2.0),
    blend_s=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_with_a_chunk_every_tick_the_ensemble_is_exactly_the_papers(
    rows: int, m: float, blend_s: float, seed: int
) -> None:
    chunks = np.random.default_rng(seed).normal(size=(60, rows, WIDTH))
    schedule = ChunkSchedule(DT_NS, "ensemble", m, blend_s)
    for tick, chunk in enumerate(chunks):
        schedule.add(tick * DT_NS, chunk, tick * DT_NS)
        target = schedule.target(tick * DT_NS)
        np.testing.assert_allclose(target.position, papers(chunks, tick, m), atol=1e-12)
        assert target.chunks == min(tick + 1, rows)
        assert not target.holding


def test_the_papers_average_is_reached_after_a_start_from_where_the_arms_are() -> None:
    chunks = np.random.default_rng(1).normal(size=(500, 50, WIDTH)) * 0.01
    schedule = ChunkSchedule(DT_NS, "ensemble", 0.01)
    schedule.begin(np.full(WIDTH, 0.1), 0)
    for tick, chunk in enumerate(chunks):
        schedule.add(tick * DT_NS, chunk, tick * DT_NS)
        position = schedule.target(tick * DT_NS).position
        if tick == 0:
            np.testing.assert_allclose(position, 0.1, atol=0.01)
    np.testing.assert_allclose(position, papers(chunks, 499, 0.01), atol=1e-12)


def test_slow_inference_averages_what_has_arrived_each_aligned_to_its_observation() -> None:
    m, inference_s = 0.05, 0.3
    schedule = ChunkSchedule(DT_NS, "ensemble", m, 0.1)
    sent = inferred([inference_s], 6.0, rows=100)
    run = play(schedule, sent, 6.0)
    for tick in (150, 200, 299):
        now_ns = run.times_ns[tick]
        # Long after the last one came in: those that have arrived and end later than it takes one
        # to fade.
        here = [
            chunk
            for chunk in sent
            if chunk.arrives_ns <= now_ns <= chunk.stamp_ns + 99 * DT_NS - 80_000_000
        ]
        if now_ns - here[-1].arrives_ns < 100_000_000:
            continue
        steps = np.array([chunk.stamp_ns - here[0].stamp_ns for chunk in here]) / DT_NS
        weights = np.exp(-m * steps) / np.exp(-m * steps).sum()
        expected = sum(w * chunk.at(now_ns) for w, chunk in zip(weights, here, strict=True))
        assert run.position[tick] == pytest.approx(expected, abs=1e-9)
        assert run.targets[tick].chunks == len(here)


def test_a_chunk_has_faded_out_by_its_end() -> None:
    sent = [Sent(0, 0, np.zeros(100)), Sent(500_000_000, 500_000_000, np.ones(100))]
    run = play(ChunkSchedule(DT_NS, "ensemble", m=0.0, blend_s=0.2), sent, 2.1)
    assert run.position[85] == pytest.approx(0.5)  # 1.70 s
    assert 0.5 < run.position[94] < 1.0
    assert run.position[99] == pytest.approx(1.0, abs=0.01)  # 1.98 s: the first one's last row
    assert run.position[100] == pytest.approx(1.0, abs=1e-12)


def test_the_latest_chunk_counts_alone_at_the_row_for_now() -> None:
    sent = inferred([0.5], 3.0)
    run = play(ChunkSchedule(DT_NS, "latest", blend_s=0.2), sent, 3.0)
    now_ns = run.times_ns[-1]
    newest = [chunk for chunk in sent if chunk.arrives_ns <= now_ns][-1]
    assert run.position[-1] == pytest.approx(newest.at(now_ns), abs=1e-12)
    assert run.targets[-1].age_s == pytest.approx((now_ns - newest.stamp_ns) * 1e-9)
    assert run.targets[-1].chunks == 1


def test_between_two_rows_a_chunk_counts_in_proportion() -> None:
    schedule = ChunkSchedule(DT_NS, "latest")
    schedule.add(0, columns(np.array([0.0, 1.0, 3.0])), 0)
    assert schedule.target(DT_NS // 4).position == pytest.approx(np.full(WIDTH, 0.25))


def test_of_two_chunks_between_two_ticks_the_newer_one_counts() -> None:
    schedule = ChunkSchedule(DT_NS, "ensemble")
    schedule.add(0, columns(np.zeros(50)), 0)
    schedule.add(DT_NS // 2, columns(np.ones(50)), DT_NS)
    target = schedule.target(DT_NS)
    assert target.chunks == 1
    np.testing.assert_allclose(target.position, 1.0)


# -- no gap and no jump ---------------------------------------------------------------------


def assert_smooth(run: Run, sent: list[Sent], blend_s: float) -> None:
    """From tick to tick the stream changes by no more than the chunks do, and what is due to their
    disagreement within the fading time; and so does its velocity."""
    rows = np.array([chunk.rows for chunk in sent])
    step = np.abs(np.diff(rows, axis=1)).max()
    bend = np.abs(np.diff(rows, n=2, axis=1)).max()
    apart = max(
        abs(chunk.at(now_ns) - before)
        for now_ns, before in zip(run.times_ns[1:], run.position, strict=False)
        for chunk in sent
        if chunk.arrives_ns <= now_ns + DT_NS and now_ns <= chunk.stamp_ns + len(rows[0]) * DT_NS
    )
    part = DT_S / blend_s
    steps, bends = np.diff(run.position), np.diff(run.position, n=2)
    assert np.abs(steps).max() <= step + 1.875 * 1.25 * part * apart
    stopping = 1.875 * DT_S / 0.3 * step
    most = bend + stopping + 2 * 1.875 * 1.25 * part * 2 * step + 5.78 * 1.25 * part**2 * apart
    assert np.abs(bends).max() <= most


@few
@given(
    mode=modes,
    inference_s=st.lists(st.floats(0.005, 1.5), min_size=1, max_size=5),
    lost=st.lists(st.integers(0, 60), max_size=20),
    swapped=st.lists(st.integers(0, 60), max_size=5),
    late_s=st.floats(0.0, 0.5),
    seed=st.integers(0, 1000),
)
def test_the_stream_is_smooth_whenever_chunks_arrive(
    mode: str,
    inference_s: list[float],
    lost: list[int],
    swapped: list[int],
    late_s: float,
    seed: int,
) -> None:
    sent = inferred(inference_s, 6.0, seed=seed)
    sent = [chunk for number, chunk in enumerate(sent) if number not in lost]
    sent = [
        Sent(c.stamp_ns, c.arrives_ns + round(late_s * 1e9) * (n in swapped), c.rows)
        for n, c in enumerate(sent)
    ]
    if not sent:
        return
    run = play(ChunkSchedule(DT_NS, mode, blend_s=0.2), sent, 6.0)
    assert_smooth(run, sent, 0.2)


@pytest.mark.parametrize("mode", ["latest", "ensemble"])
@pytest.mark.parametrize("inference_s", [0.005, 0.02, 0.033, 0.1, 0.3, 0.75])
def test_steady_inference_makes_the_stream_no_rougher_than_its_chunks(
    mode: str, inference_s: float
) -> None:
    sent = inferred([inference_s], 8.0, off=0.02, drift=0.01)
    run = play(ChunkSchedule(DT_NS, mode), sent, 8.0)
    steady = run.position[150:]
    step = 0.4 * 2 * np.pi * 0.25 * DT_S
    assert not run.holds[150:].any()
    assert np.abs(np.diff(steady)).max() <= 1.7 * step
    assert np.abs(np.diff(steady, n=2)).max() <= 0.4 * step
    assert np.abs(steady - swing(np.array(run.times_ns[150:]) * 1e-9)).max() <= 0.05


# -- holding and going on -------------------------------------------------------------------


def test_without_a_new_chunk_the_stream_slows_down_at_the_end_of_the_last_and_says_so() -> None:
    rows = np.linspace(0.0, 0.6, 60)
    run = play(ChunkSchedule(DT_NS, "ensemble"), [Sent(0, DT_NS, rows)], 3.0)
    held = run.position[run.holds]
    assert "no chunk is left" in run.targets[-1].holding
    assert run.targets[-1].chunks == 0
    assert run.targets[-1].age_s == pytest.approx(run.times_ns[-1] * 1e-9)
    assert run.position[-1] == pytest.approx(rows[-1], abs=1e-9)
    assert (np.diff(held) >= -1e-12).all()
    assert np.abs(np.diff(held, n=2)[1:]).max() <= 1.9 * DT_S / 0.3 * np.diff(rows).max()
    assert (np.diff(run.position[-50:]) == 0).all()


@few
@given(away=st.floats(-1.0, 1.0), mode=modes)
def test_after_a_hold_it_goes_on_without_a_jump_and_slowly_if_it_is_far_away(
    away: float, mode: str
) -> None:
    sent = [Sent(0, 0, np.zeros(100)), Sent(3_000_000_000, 3_000_000_000, np.full(100, away))]
    run = play(ChunkSchedule(DT_NS, mode), sent, 4.5)
    assert run.holds[149]
    assert not run.holds[150]
    assert abs(run.position[150]) < 0.01
    longest_s = 99 * DT_S / 2
    fastest = max(0.5, 1.875 * abs(away) / longest_s)
    assert np.abs(np.diff(run.position)).max() <= 1.3 * fastest * DT_S
    assert run.position[-1] == pytest.approx(away, abs=1e-9)


def test_before_the_first_chunk_there_is_nothing_or_the_start() -> None:
    schedule = ChunkSchedule(DT_NS)
    assert schedule.target(0).position is None
    schedule.begin(np.full(WIDTH, 0.3), 0)
    target = schedule.target(DT_NS)
    np.testing.assert_array_equal(target.position, 0.3)
    assert target.holding == "waiting for the first chunk"
    assert target.age_s == float("inf")


def test_asked_to_hold_it_stops_on_its_way_until_the_next_chunk() -> None:
    schedule = ChunkSchedule(DT_NS)
    rows = columns(np.arange(100) * 0.02)  # 1 rad/s
    schedule.add(0, rows, 0)
    path = [schedule.target(tick * DT_NS).position[0] for tick in range(30)]
    schedule.hold(29 * DT_NS, "cam_high is silent")
    path += [schedule.target(tick * DT_NS).position[0] for tick in range(30, 60)]
    assert schedule.target(60 * DT_NS).holding == "cam_high is silent"
    assert path[-1] == pytest.approx(path[29] + 0.15, abs=1e-9)
    assert np.abs(np.diff(path, n=2)).max() <= 0.02 * 1.9 * DT_S / 0.3
    schedule.add(60 * DT_NS, columns(np.full(100, path[-1])), 60 * DT_NS)
    assert not schedule.target(61 * DT_NS).holding


def test_a_chunk_that_was_waiting_when_a_hold_began_is_dropped() -> None:
    schedule = ChunkSchedule(DT_NS)
    schedule.begin(np.zeros(WIDTH), 0)
    schedule.add(0, columns(np.ones(50)), 0)
    schedule.hold(0, "NaN from the network")
    np.testing.assert_array_equal(schedule.target(DT_NS * 20).position, 0.0)


def test_lost_ticks_move_nothing_out_of_place() -> None:
    sent = inferred([0.1], 3.0)
    whole, thinned = ChunkSchedule(DT_NS), ChunkSchedule(DT_NS)
    positions = []
    for schedule, ticks in ((whole, range(150)), (thinned, [*range(100), *range(104, 150)])):
        waiting = list(sent)
        for tick in ticks:
            while waiting and waiting[0].arrives_ns <= tick * DT_NS:
                chunk = waiting.pop(0)
                schedule.add(chunk.stamp_ns, columns(chunk.rows), tick * DT_NS)
            target = schedule.target(tick * DT_NS)
        positions.append(target.position[0])
    assert positions[0] == pytest.approx(positions[1], abs=1e-3)


# -- what is refused ------------------------------------------------------------------------

BAD = {
    "nan": (DT_NS, np.where(np.arange(50)[:, None] == 7, np.nan, np.zeros((50, WIDTH))), "row 7"),
    "inf": (DT_NS, np.full((50, WIDTH), np.inf), "row 0"),
    "one arm": (DT_NS, np.zeros((50, 7)), r"\(50, 7\)"),
    "flat": (DT_NS, np.zeros(WIDTH), r"\(14,\)"),
    "one row": (DT_NS, np.zeros((1, WIDTH)), r"n from 2"),
    "endless": (DT_NS, np.zeros((501, WIDTH)), "501"),
    "another length": (DT_NS, np.zeros((49, WIDTH)), "49 rows; the ones before had 50"),
    "future": (4 * DT_NS, np.zeros((50, WIDTH)), "0.040 s in the future"),
    "older": (-DT_NS, np.zeros((50, WIDTH)), "0.020 s older"),
    "again": (0, np.zeros((50, WIDTH)), "order of their observations"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_chunk_is_refused_by_name_and_changes_nothing(what: str) -> None:
    stamp_ns, chunk, words = BAD[what]
    course = columns(swing(np.arange(50) * DT_S))
    asked, calm = ChunkSchedule(DT_NS), ChunkSchedule(DT_NS)
    for schedule in (asked, calm):
        schedule.add(0, course, 0)
        schedule.target(0)
    with pytest.raises(ChunkRefused, match=words):
        asked.add(stamp_ns, chunk, 2 * DT_NS)
    for tick in range(2, 60):
        one, other = asked.target(tick * DT_NS), calm.target(tick * DT_NS)
        np.testing.assert_array_equal(one.position, other.position)
        assert one.holding == other.holding


def test_a_chunk_that_comes_after_its_end_is_refused() -> None:
    with pytest.raises(ChunkRefused, match=r"1.20 s after its observation, and it covers 0.98 s"):
        ChunkSchedule(DT_NS).add(0, np.zeros((50, WIDTH)), 1_200_000_000)


def test_chunks_shorter_than_the_fading_time_are_followed_to_their_ends() -> None:
    schedule = ChunkSchedule(DT_NS, "ensemble", blend_s=1.0)
    schedule.begin(np.zeros(WIDTH), 0)
    for tick in range(0, 21, 3):
        schedule.add(tick * DT_NS, np.ones((10, WIDTH)), tick * DT_NS)
        for later in range(tick, tick + 3):
            target = schedule.target(later * DT_NS)
    np.testing.assert_allclose(target.position, 1.0)
    assert not target.holding


def test_a_chunk_from_before_the_start_is_refused() -> None:
    schedule = ChunkSchedule(DT_NS)
    schedule.begin(np.zeros(WIDTH), 10 * DT_NS)
    with pytest.raises(ChunkRefused, match="older than what is known"):
        schedule.add(9 * DT_NS, np.zeros((50, WIDTH)), 11 * DT_NS)


def test_time_that_goes_back_is_refused_until_the_schedule_is_cleared() -> None:
    schedule = ChunkSchedule(DT_NS)
    schedule.add(0, np.zeros((50, WIDTH)), 0)
    schedule.target(10 * DT_NS)
    with pytest.raises(TimeWentBack, match=r"went back by 0.100 s"):
        schedule.target(5 * DT_NS)
    with pytest.raises(TimeWentBack):
        schedule.add(2 * DT_NS, np.zeros((50, WIDTH)), 5 * DT_NS)
    with pytest.raises(TimeWentBack):
        schedule.hold(5 * DT_NS, "")
    schedule.clear()
    assert schedule.target(5 * DT_NS).position is None


def test_after_clear_a_schedule_is_as_new() -> None:
    chunks = np.random.default_rng(3).normal(size=(40, 20, WIDTH))
    used, new = ChunkSchedule(DT_NS), ChunkSchedule(DT_NS)
    for tick in range(30):
        used.add(tick * DT_NS, np.ones((30, WIDTH)), tick * DT_NS)
        used.target(tick * DT_NS)
    used.clear()
    for tick, chunk in enumerate(chunks):
        for schedule in (used, new):
            schedule.add(tick * DT_NS, chunk, tick * DT_NS)
        np.testing.assert_array_equal(
            used.target(tick * DT_NS).position, new.target(tick * DT_NS).position
        )


@pytest.mark.parametrize(
    ("mode", "dt_ns", "m", "blend_s"),
    [("median", DT_NS, 0, 0), ("latest", 0, 0, 0), ("latest", 1, np.nan, 0), ("latest", 1, 0, -1)],
)
def test_settings_that_cannot_be_are_refused(
    mode: str, dt_ns: int, m: float, blend_s: float
) -> None:
    with pytest.raises(ValueError, match="expected"):
        ChunkSchedule(dt_ns, mode, m, blend_s)


def test_a_ring_that_is_used_again_and_again_forgets_the_old_chunks() -> None:
    schedule = ChunkSchedule(DT_NS, "ensemble")
    for tick in range(400):
        rows = np.full((10, WIDTH), 0.0 if tick < 350 else 1.0)
        schedule.add(tick * DT_NS, rows, tick * DT_NS)
        target = schedule.target(tick * DT_NS)
    np.testing.assert_allclose(target.position, 1.0)
    assert target.chunks == 10

"""Steps: equal times, the right sample for each, and no segment over a gap or a pause."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.episodes.step_grid import BESIDE_NS, HOLD, NEAREST, Stream, pick, step_grid

PERIOD, TOLERANCE = 20_000_000, 50_000_000

stamp_lists = st.lists(st.integers(0, 130_000_000), min_size=1, max_size=60).map(
    lambda steps: np.cumsum(np.array(steps, np.int64))
)
some_streams = st.dictionaries(
    st.sampled_from("abcd"),
    st.builds(
        Stream,
        stamp_lists,
        st.sampled_from([NEAREST, HOLD]),
        st.sampled_from([0, PERIOD, PERIOD // 2]),
    ),
    min_size=1,
)
some_pauses = st.lists(
    st.tuples(st.integers(0, 3_000_000_000), st.integers(0, 400_000_000)), max_size=3
).map(lambda pairs: tuple((begin, begin + length) for begin, length in pairs))


@given(streams=some_streams, pauses=some_pauses, anchor=st.sampled_from("ab-"))
def test_segments_are_even_and_their_samples_are_the_right_ones(streams, pauses, anchor):
    grid = step_grid(streams, PERIOD, TOLERANCE, pauses, anchor)
    times = grid.time_ns
    assert all(len(column) == len(times) for column in (grid.segment, *grid.index.values()))
    assert (np.diff(times) > 0).all()
    assert (np.diff(times) % PERIOD == 0).all()
    assert set(np.diff(grid.segment)) <= {0, 1}
    assert len(times) == 0 or grid.segment[0] == 0
    inside = np.diff(grid.segment) == 0
    assert (np.diff(times)[inside] == PERIOD).all()
    for begin, end in pauses:
        lead = max(stream.lead_ns for stream in streams.values())
        assert not ((times + lead >= begin) & (times <= end)).any()
        apart = (times[:-1] < begin) & (times[1:] > end)
        assert (np.diff(grid.segment)[apart] == 1).all()
    for name, stream in streams.items():
        for time, index in zip(times + stream.lead_ns, grid.index[name], strict=True):
            found = stream.stamps_ns[index]
            assert abs(found - time) <= TOLERANCE
            if stream.method == NEAREST:
                assert abs(found - time) <= np.abs(stream.stamps_ns - time).min() + BESIDE_NS
            else:
                assert found == stream.stamps_ns[stream.stamps_ns <= time + BESIDE_NS].max()


@given(streams=some_streams)
def test_no_step_is_left_out_that_every_stream_has_a_sample_for(streams):
    grid = step_grid(streams, PERIOD, TOLERANCE)
    start = max(int(s.stamps_ns[0]) - s.lead_ns for s in streams.values())
    end = min(int(s.stamps_ns[-1]) - s.lead_ns for s in streams.values())

    def served(time: int, stream: Stream) -> bool:
        distance = stream.stamps_ns - (time + stream.lead_ns)
        usable = distance[distance <= BESIDE_NS] if stream.method == HOLD else distance
        return len(usable) > 0 and np.abs(usable).min() <= TOLERANCE

    expected = [
        time
        for time in range(start, end + BESIDE_NS + 1, PERIOD)
        if all(served(time, stream) for stream in streams.values())
    ]
    assert list(grid.time_ns) == expected


def test_a_pause_between_two_steps_begins_a_segment():
    every = Stream(np.arange(0, 200_000_001, 1_000_000))
    grid = step_grid({"a": every}, PERIOD, TOLERANCE, [(105_000_000, 111_000_000)])
    assert list(np.diff(grid.time_ns)) == [PERIOD] * 10
    assert list(grid.segment) == [0] * 6 + [1] * 5


def test_a_pause_that_never_ended_ends_the_steps():
    every = Stream(np.arange(0, 200_000_001, 1_000_000))
    grid = step_grid({"a": every}, PERIOD, TOLERANCE, [(105_000_000, None)])
    assert grid.time_ns[-1] == 100_000_000


def test_the_first_step_is_a_picture_of_the_anchor():
    cameras = {
        "a": Stream(np.arange(7_000_000, 10**9, PERIOD)),
        "b": Stream(np.arange(31_000_000, 10**9, 10_000_000)),
    }
    grid = step_grid(cameras, PERIOD, TOLERANCE, anchor="a")
    assert grid.time_ns[0] == 47_000_000
    assert (cameras["a"].distance_ns(grid.time_ns, grid.index["a"]) == 0).all()


def test_a_silent_stream_leaves_no_step():
    streams = {"a": Stream(np.arange(5)), "b": Stream(np.zeros(0, np.int64))}
    assert len(step_grid(streams, PERIOD, TOLERANCE).time_ns) == 0


def test_of_two_samples_equally_near_the_earlier_is_taken():
    stamps, times = (np.array(ms) * 1_000_000 for ms in ([0, 10, 20], [5, 6, 14]))
    assert list(pick(stamps, times, NEAREST)) == [0, 1, 1]


def test_years_of_steps_are_refused_before_they_fill_the_memory():
    set_forward = Stream(np.array([0, 10**18]))
    with pytest.raises(ValueError, match="was the clock set"):
        step_grid({"a": set_forward}, PERIOD, TOLERANCE)


@pytest.mark.parametrize("hz", [30.0, 60.0, 100 / 3])
@pytest.mark.parametrize("rounding", [np.floor, np.rint, np.ceil])
def test_stamps_on_the_grid_but_for_their_rounding_are_the_samples_of_its_steps(hz, rounding):
    """An hour at a period that is no whole number of ns: neither late by a step, nor one short."""
    count, period = round(3600 * hz), 1e9 / hz
    stamps = (5_000_000_000 + rounding(np.arange(count + 1) * period)).astype(np.int64)
    beside = np.random.default_rng(3).integers(-1, 2, count + 1)
    streams = {
        "states": Stream(stamps[:-1] + beside[:-1], HOLD),
        "pictures": Stream(stamps[:-1]),
        "commands": Stream(stamps[1:] + beside[1:], HOLD, round(period)),
    }
    grid = step_grid(streams, period, TOLERANCE, anchor="pictures")
    assert len(grid.time_ns) == count
    assert not grid.segment.any()
    for name in streams:
        np.testing.assert_array_equal(grid.index[name], np.arange(count), err_msg=name)


def test_of_two_samples_equally_near_but_for_a_nanosecond_the_earlier_is_taken():
    """A camera half a period beside the steps shows each of its pictures once."""
    steps = np.arange(50, dtype=np.int64) * PERIOD + PERIOD
    beside = np.random.default_rng(4).integers(-1, 2, 51)
    stamps = np.arange(51, dtype=np.int64) * PERIOD + PERIOD // 2 + beside
    np.testing.assert_array_equal(pick(stamps, steps, NEAREST), np.arange(50))

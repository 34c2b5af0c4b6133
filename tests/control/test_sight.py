"""Samples that belong together: which are taken, and what keeps a policy from seeing."""

import pytest

from aloha_stack.control.sight import Missing, Sight

MS = 1_000_000
NOW = 10_000 * MS


def sight() -> Sight:
    """Joints every 10 ms up to now, pictures every 20 ms up to 40 ms ago (the one who sees less
    well: 50 ms)."""
    made = Sight(["left", "right"], ["high", "low"], 0.1, 0.2)
    for back in range(200, -1, -10):
        made.add("left", NOW - back * MS, ("left", back))
        made.add("right", NOW - (back + 3) * MS, ("right", back + 3))
    for back in range(200, 39, -20):
        made.add("high", NOW - back * MS, ("high", back))
        made.add("low", NOW - (back + 10) * MS, ("low", back + 10))
    return made


def test_an_observation_is_of_one_moment_the_latest_of_which_all_is_known() -> None:
    moment = sight().moment(NOW)
    backs = {name: sample[1] for name, sample in moment.samples.items()}
    assert backs["low"] == 50
    assert backs["left"] == 50
    assert backs["right"] in (43, 53)
    assert backs["high"] in (40, 60)
    assert moment.stamp_ns == NOW - max(backs["left"], backs["right"]) * MS


def test_what_is_missing_stale_or_ahead_is_named() -> None:
    empty = Sight(["left"], ["high"], 0.1, 0.2)
    empty.add("left", NOW, 0)
    with pytest.raises(Missing, match="nothing from high yet"):
        empty.moment(NOW)
    assert empty.problem(NOW) == "nothing from high yet"
    late = NOW + 80 * MS
    assert sight().problem(late) == ""
    assert sight().problem(NOW + 101 * MS) == (
        "left is 0.10 s old (at most 0.1); right is 0.10 s old (at most 0.1)"
    )
    seen = sight()
    for arm in ("left", "right"):
        seen.add(arm, NOW + 155 * MS, 0)
    assert seen.problem(NOW + 155 * MS) == "low is 0.21 s old (at most 0.2)"
    seen.add("high", NOW + 300 * MS, 0)
    assert "high is 0.14 s ahead of the clock" in seen.problem(NOW + 160 * MS)


def test_streams_that_do_not_belong_together_are_no_observation() -> None:
    seen = Sight(["left"], ["high"], 1.0, 1.0)
    seen.add("high", NOW - 90 * MS, 0)
    seen.add("left", NOW, 0)
    with pytest.raises(Missing, match=r"left has nothing nearer than 0\.090 s"):
        seen.moment(NOW)


def test_after_time_went_back_nothing_from_before_is_seen() -> None:
    seen = sight()
    seen.add("high", NOW - 5_000 * MS, "again")
    assert "low is 4.95 s ahead" in seen.problem(NOW - 5_000 * MS)
    for stream in ("left", "right", "low"):
        seen.add(stream, NOW - 5_000 * MS, "again")
    assert set(seen.moment(NOW - 5_000 * MS).samples.values()) == {"again"}

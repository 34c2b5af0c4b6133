"""Statistics of episodes add up to those of all rows, without keeping any row."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aloha_stack.episodes.lerobot_stats import PictureStats, TotalStats, column_stats, sampled

numbers = st.floats(-1e3, 1e3, width=32)
parts = st.lists(
    st.integers(1, 9).flatmap(lambda rows: arrays(np.float32, (rows, 3), elements=numbers)),
    min_size=1,
    max_size=5,
)


@given(parts)
def test_all_episodes_together_are_as_one(episodes):
    total = TotalStats()
    for episode in episodes:
        total.add({"x": column_stats(episode)})
    found = total.as_lists()["x"]
    rows = np.concatenate(episodes).astype(np.float64)
    assert found["count"] == [len(rows)]
    np.testing.assert_array_equal(found["min"], rows.min(0))
    np.testing.assert_array_equal(found["max"], rows.max(0))
    np.testing.assert_allclose(found["mean"], rows.mean(0), atol=1e-6 * 1e3)
    np.testing.assert_allclose(found["std"], rows.std(0), atol=1e-4 * 1e3)


@given(arrays(np.uint8, (4, 6, 8, 3)))
def test_pictures_are_counted_exactly(pictures):
    stats = PictureStats()
    for picture in pictures:
        stats.add(picture)
    found = {name: value.reshape(-1) for name, value in stats.stats().items()}
    pixels = pictures.reshape(-1, 3) / 255.0
    assert found["count"] == [4]
    for name, wanted in (
        ("min", pixels.min(0)),
        ("max", pixels.max(0)),
        ("mean", pixels.mean(0)),
        ("std", pixels.std(0)),
        ("q50", np.quantile(pixels, 0.5, axis=0, method="inverted_cdf")),
    ):
        np.testing.assert_allclose(found[name], wanted, atol=1e-6, err_msg=name)


@given(st.integers(1, 50_000))
def test_samples_lie_over_the_whole_episode(count):
    chosen = sampled(count)
    assert chosen[0] == 0
    assert chosen[-1] == count - 1
    assert len(chosen) <= max(min(count, 100), 10_000)

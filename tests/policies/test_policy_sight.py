"""What a policy sees of its cameras' pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.policies.sight import Crop, Crops, Sight, Size


def picture(height: int = 24, width: int = 32) -> np.ndarray:
    """No two of its pixels are alike."""
    return np.arange(height * width * 3, dtype=np.uint16).reshape(height, width, 3)


def test_without_a_word_the_whole_picture_is_seen_and_not_copied() -> None:
    whole = picture()
    seen = Sight.of(None, None, 2, (24, 32)).see(1, whole)
    assert seen.shape == whole.shape
    assert np.shares_memory(seen, whole)


def test_each_camera_has_its_own_part() -> None:
    sight = Sight.of(((0, 1, 8, 10), (16, 22, 8, 10)), None, 2, (24, 32))
    assert np.array_equal(sight.see(0, picture()), picture()[:8, 1:11])
    assert np.array_equal(sight.see(1, picture()), picture()[16:, 22:])


def test_one_part_may_be_said_for_all_cameras() -> None:
    assert Sight.of((1, 2, 3, 4), None, 3, (24, 32)).parts == ((1, 2, 3, 4),) * 3


@given(
    st.integers(1, 4), st.integers(1, 4), st.tuples(st.integers(0, 7), st.integers(0, 7)), st.data()
)
def test_parts_are_shrunk_to_the_means_of_their_pixels(
    height: int, width: int, corner: tuple[int, int], data: st.DataObject
) -> None:
    down, across = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    crop: Crop = (*corner, down * height, across * width)
    seen = Sight.of(crop, (height, width), 1, (24, 32)).see(0, picture())
    top, left, tall, wide = crop
    blocks = picture()[top : top + tall, left : left + wide].astype(float)
    means = blocks.reshape(height, down, width, across, 3).mean((1, 3))
    np.testing.assert_allclose(seen, means, atol=0.51)


@pytest.mark.parametrize(
    ("crop", "seen", "message"),
    [
        ((0, 0, 25, 10), None, "outside"),
        ((0, 23, 10, 10), None, "outside"),
        ((-1, 0, 10, 10), None, "expected top, left, height, width"),
        ((0, 0, 10), None, "expected top, left, height, width"),
        ((0, 0, 10, 2.5), None, "expected top, left, height, width"),
        (((0, 0, 10, 10),), None, "parts for 1 cameras; there are 2"),
        (((0, 0, 10, 10), (0, 0, 10, 12)), None, "say by `seen`"),
        ((0, 0, 10, 10), (10, 11), "smaller than"),
        (None, (25, 32), "smaller than"),
    ],
)
def test_what_cannot_be_seen_is_refused(crop: Crops, seen: Size | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sight.of(crop, seen, 2, (24, 32))

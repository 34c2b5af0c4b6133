"""Pictures at the training size: the same wherever they are decoded, and near a full decoding."""

from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.bench.footage import footage
from aloha_stack.episodes.pictures import decode
from aloha_stack.episodes.scaled import decode_at, jpeg_size
from training.training_episodes import picture


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    (file,) = footage(tmp_path_factory.mktemp("footage"), count=1).iterdir()
    return file.read_bytes()


def test_at_its_own_size_a_picture_is_as_decoded_in_full(jpeg: bytes) -> None:
    np.testing.assert_array_equal(decode_at("jpeg", jpeg), decode("jpeg", jpeg))
    np.testing.assert_array_equal(decode_at("jpeg", jpeg, (480, 640)), decode("jpeg", jpeg))


@pytest.mark.parametrize("size", [(240, 320), (120, 160), (60, 80), (224, 224), (128, 171), (7, 9)])
def test_a_smaller_picture_is_close_to_the_full_one_averaged(
    jpeg: bytes, size: tuple[int, int]
) -> None:
    found = decode_at("jpeg", jpeg, size).astype(float)
    full = decode("jpeg", jpeg)
    expected = cv2.resize(full, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(float)
    assert found.shape == (*size, 3)
    assert np.abs(found - expected).mean() < 3.0
    assert np.abs(found.mean((0, 1)) - expected.mean((0, 1))).max() < 1.5  # colours in order


def test_half_the_size_is_what_libjpeg_gives_without_resizing(jpeg: bytes) -> None:
    half = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
    np.testing.assert_array_equal(decode_at("jpeg", jpeg, (240, 320)), half[:, :, ::-1])


@pytest.mark.parametrize("size", [None, (24, 32), (20, 30)])
@pytest.mark.parametrize("encoding", ["jpeg", "png", "rgb8"])
def test_given_memory_is_filled_with_the_very_same(
    encoding: str, size: tuple[int, int] | None
) -> None:
    data = picture(1, 1, 7)
    rgb = decode("jpeg", data)
    if encoding == "png":
        data = cv2.imencode(".png", rgb)[1].tobytes()
    elif encoding == "rgb8":
        data = rgb.tobytes()
    batch = np.zeros((3, *(size or (48, 64)), 3), np.uint8)
    decode_at(encoding, data, size, (48, 64), batch[1])
    np.testing.assert_array_equal(batch[1], decode_at(encoding, data, size, (48, 64)))
    assert not batch[0].any()
    assert not batch[2].any()


def test_a_picture_of_another_size_or_none_at_all_is_refused(jpeg: bytes) -> None:
    with pytest.raises(ValueError, match="640×480 pixels instead of 64×48"):
        decode_at("jpeg", jpeg, native=(48, 64))
    for data in (b"", b"\xff\xd8", b"no picture", jpeg[:100]):
        with pytest.raises(ValueError, match="no whole JPEG"):
            decode_at("jpeg", data, (24, 32))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["baseline", "progressive"]))
def test_the_size_is_read_from_any_header(height: int, width: int, kind: str) -> None:
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, int(kind == "progressive")]
    data = cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8), options)[1].tobytes()
    assert jpeg_size(data) == (height, width)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_whatever_follows_its_start_a_header_is_found_or_refused_in_words(data: bytes) -> None:
    with suppress(ValueError):
        height, width = jpeg_size(b"\xff\xd8" + data)
        assert 0 <= height < 1 << 16
        assert 0 <= width < 1 << 16

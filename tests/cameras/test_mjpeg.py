"""JPEGs as UVC cameras give them: padded, truncated, without Huffman tables."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.cameras.huffman import SEGMENT
from aloha_stack.cameras.mjpeg import DamagedJpegError, whole_jpeg

WIDTH, HEIGHT = 96, 64


def noisy(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)


def encoded(image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(".jpg", image, list(options))[1].tobytes()


JPEG = encoded(noisy())


def segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and all bytes of each segment; the last is the scan with all that follows."""
    at = 2
    while True:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == 0xDA:
            yield marker, jpeg[at:]
            return
        yield marker, jpeg[at : at + 2 + length]
        at += 2 + length


def abbreviated(jpeg: bytes) -> bytes:
    """The JPEG without its Huffman tables."""
    return jpeg[:2] + b"".join(part for marker, part in segments(jpeg) if marker != 0xC4)


def pixels(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def whole(jpeg: bytes) -> bytes:
    return whole_jpeg(jpeg, WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "jpeg",
    [JPEG, encoded(noisy(), cv2.IMWRITE_JPEG_RST_INTERVAL, 4), encoded(noisy()[:, :, 0])],
    ids=["colour", "with restart markers", "grey"],
)
def test_a_whole_jpeg_stays_as_it_is(jpeg: bytes) -> None:
    assert whole(jpeg) is jpeg


def test_what_stands_behind_the_end_is_cut_old_images_too() -> None:
    assert whole(JPEG + bytes(100)) == JPEG
    assert whole(JPEG + bytes(7) + JPEG[-500:]) == JPEG


def test_missing_tables_are_the_standards_and_the_picture_stays_untouched() -> None:
    bare = abbreviated(JPEG)
    assert b"\xff\xc4" not in bare[: bare.index(b"\xff\xda")]
    mended = whole(bare)
    assert (pixels(mended) == pixels(JPEG)).all()
    assert mended.replace(SEGMENT, b"") == bare
    assert [marker for marker, _ in segments(mended)].count(0xC4) == 1


def test_the_tables_are_those_that_opencvs_encoder_uses() -> None:
    own = b"".join(part[4:] for marker, part in segments(JPEG) if marker == 0xC4)
    assert sorted(own) == sorted(SEGMENT[4:])
    for marker, part in segments(JPEG):
        assert marker != 0xC4 or part[4:] in SEGMENT


def test_a_jpeg_with_tables_of_its_own_keeps_them() -> None:
    optimised = encoded(noisy(), cv2.IMWRITE_JPEG_OPTIMIZE, 1)
    assert whole(optimised) is optimised


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "empty"),
        (bytes(5000), "begins with 00 00, not with ff d8"),
        (JPEG[2:], "begins with"),
        (JPEG[:-2], "without an end"),
        (JPEG[: len(JPEG) // 2], "without an end"),
        (JPEG[:2], "no segment at byte 2"),
        (JPEG[:40], "end within segment"),
        (JPEG[: len(JPEG) // 2] + JPEG, "ff d8 within the picture"),
        (encoded(noisy(64, 64)), "64x64 pixels, not 96x64"),
        (encoded(noisy(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1), "no baseline JPEG"),
    ],
)
def test_what_is_not_whole_is_named(data: bytes, complaint: str) -> None:
    with pytest.raises(DamagedJpegError, match=complaint):
        whole(data)


@given(
    cut=st.integers(0, len(JPEG)),
    at=st.integers(0, len(JPEG) - 1),
    junk=st.binary(max_size=40),
)
def test_whatever_a_cable_makes_of_it_it_is_whole_or_damaged(
    cut: int, at: int, junk: bytes
) -> None:
    data = (JPEG[:at] + junk + JPEG[at + len(junk) :])[:cut]
    try:
        result = whole(data)
    except DamagedJpegError:
        return
    assert result.startswith(b"\xff\xd8")
    assert result.endswith(b"\xff\xd9")


@given(st.binary(max_size=300))
def test_noise_is_no_jpeg(noise: bytes) -> None:
    with pytest.raises(DamagedJpegError):
        whole(b"\xff\xd8" + noise)

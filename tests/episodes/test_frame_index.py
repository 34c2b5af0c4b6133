"""Pictures one by one, from where they lie in the file."""

import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.writer import CompressionType
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import frame_indexes
from aloha_stack.episodes.pictures import decode
from aloha_stack.episodes.reader import Episode
from episodes.altered_episodes import altered, compress
from episodes.sample_episodes import START_NS, image_bytes, jpeg, stamped, write_episode

HIGH = "/cam_high/image_raw/compressed"
PICTURE = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(4, 6, 3)  # RGB


def raw(stamp: int, encoding: str, data: bytes, step: int, width: int = 6, height: int = 4):
    message = Image(height=height, width=width, encoding=encoding, step=step)
    message.data.frombytes(data)
    return bytes(serialize_message(stamped(message, stamp)))


def episode_with(tmp_path: Path, topic: str, kind: str, messages: list[bytes]) -> Episode:
    source = write_episode(tmp_path / "source", seconds=0.2)
    stamps = [START_NS + 20_000_000 * number for number in range(len(messages))]
    return Episode(
        altered(
            source,
            tmp_path / "altered",
            types={topic: kind},
            extra={topic: list(zip(stamps, messages, strict=True))},
        )
    )


@pytest.mark.parametrize(
    ("encoding", "data", "step", "expected"),
    [
        ("rgb8", PICTURE.tobytes(), 18, PICTURE),
        ("bgr8", PICTURE[:, :, ::-1].tobytes(), 18, PICTURE),
        ("rgba8", np.dstack([PICTURE, PICTURE[:, :, 0]]).tobytes(), 24, PICTURE),
        ("mono8", PICTURE[:, :, 0].tobytes(), 6, np.dstack([PICTURE[:, :, 0]] * 3)),
    ],
    ids=["rgb8", "bgr8", "rgba8", "mono8"],
)
def test_raw_pictures_of_other_drivers_come_back_as_rgb(
    tmp_path: Path, encoding: str, data: bytes, step: int, expected: np.ndarray
) -> None:
    messages = [raw(START_NS + 20_000_000 * n, encoding, data, step) for n in range(3)]
    episode = episode_with(tmp_path, "/cam_extra/image_raw", "sensor_msgs/msg/Image", messages)
    index = frame_indexes(episode)["cam_extra"]
    assert (index.encoding, index.width, index.height, len(index)) == (encoding, 6, 4, 3)
    assert index.picture(1) == data
    np.testing.assert_array_equal(index.rgb(2), expected)


def test_yuyv_is_decoded() -> None:
    grey = np.full((4, 6, 2), 128, np.uint8)  # luma 128, no colour
    assert np.ptp(decode("yuyv", grey.tobytes(), 6, 4)) == 0


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (raw(START_NS, "16UC1", bytes(48), 12), "'16UC1' cannot be decoded; known are jpeg, png"),
        (raw(START_NS, "rgb8", bytes(96), 24), "rows of .* have 24 bytes, 6 pixels .* have 18"),
    ],
    ids=["encoding", "padding"],  # not the bytes: what lies between a message's fields is chance
)
def test_raw_pictures_that_cannot_be_used_are_named(
    tmp_path: Path, message: bytes, words: str
) -> None:
    episode = episode_with(tmp_path, "/depth/image", "sensor_msgs/msg/Image", [message])
    with pytest.raises(EpisodeError, match=words):
        frame_indexes(episode)


def test_png_is_a_picture_too(tmp_path: Path) -> None:
    data = cv2.imencode(".png", PICTURE[:, :, ::-1])[1].tobytes()
    message = CompressedImage(format="rgb8; png compressed bgr8")
    message.data.frombytes(data)
    messages = [bytes(serialize_message(stamped(message, START_NS)))]
    kind = "sensor_msgs/msg/CompressedImage"
    index = frame_indexes(episode_with(tmp_path, "/a/compressed", kind, messages))["a"]
    np.testing.assert_array_equal(index.rgb(0), PICTURE)


def test_an_index_travels_to_other_processes(tmp_path: Path) -> None:
    index = frame_indexes(Episode(write_episode(tmp_path, seconds=0.1)))["cam_high"]
    assert pickle.loads(pickle.dumps(index)).picture(2) == jpeg(4)


def test_repeated_and_broken_pictures_are_found_without_decoding(tmp_path: Path) -> None:
    shown = [jpeg(10), jpeg(10), jpeg(12), jpeg(10), jpeg(10)[:-2], jpeg(10) + bytes(100)]
    messages = [image_bytes(START_NS + 20_000_000 * n, p) for n, p in enumerate(shown)]
    kind = "sensor_msgs/msg/CompressedImage"
    index = frame_indexes(episode_with(tmp_path, "/a/compressed", kind, messages))["a"]
    assert list(index.repeated()) == [False, True, False, False, False, False]
    assert list(index.broken()) == [False, False, False, False, True, False]


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    messages = [image_bytes(START_NS, jpeg(1)), image_bytes(START_NS + 1, jpeg(1, 20, 30))]
    kind = "sensor_msgs/msg/CompressedImage"
    index = frame_indexes(episode_with(tmp_path, "/a/compressed", kind, messages))["a"]
    with pytest.raises(EpisodeError, match=r"picture 1 of .* 30×20 pixels, the first has 64×48"):
        index.rgb(1)


def test_a_change_of_format_is_named(tmp_path: Path) -> None:
    messages = [raw(START_NS, "rgb8", bytes(72), 18), raw(START_NS + 1, "bgr8", bytes(72), 18)]
    episode = episode_with(tmp_path, "/a/image", "sensor_msgs/msg/Image", messages)
    with pytest.raises(EpisodeError, match="/a/image changes its pictures"):
        frame_indexes(episode)


def test_compressed_chunks_are_named_with_a_way_out(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=0.1)
    compress(path, CompressionType.ZSTD)
    with pytest.raises(EpisodeError, match=r"lie in compressed chunks.*mcap decompress"):
        frame_indexes(Episode(path))


def test_a_picture_that_says_it_is_longer_than_its_message_is_named(tmp_path: Path) -> None:
    source = write_episode(tmp_path / "a", seconds=0.1)

    def cut(record):
        return replace(record, data=record.data[:-20]) if record.topic == HIGH else record

    with pytest.raises(EpisodeError, match=f"{HIGH} does not fit its type .* longer than"):
        Episode(altered(source, tmp_path / "b", cut)).contents()


def test_a_file_that_became_shorter_is_named(tmp_path: Path) -> None:
    index = frame_indexes(Episode(write_episode(tmp_path, seconds=0.1)))["cam_high"]
    index.path.write_bytes(index.path.read_bytes()[:5000])
    with pytest.raises(EpisodeError, match="became shorter"):
        index.picture(4)


def test_zeros_behind_a_jpeg_make_no_other_picture_of_it(tmp_path: Path) -> None:
    """Cameras fill up with as many as they like; a picture that ends otherwise is another."""
    one, other = jpeg(3), jpeg(90)
    shown = [one, one + bytes(1), one + bytes(700), one, other + bytes(2), other, one]
    stamps = [START_NS + 20_000_000 * number for number in range(len(shown))]
    messages = [image_bytes(*pair) for pair in zip(stamps, shown, strict=True)]
    kind = "sensor_msgs/msg/CompressedImage"
    episode = episode_with(tmp_path, "/cam_extra/image_raw/compressed", kind, messages)
    index = frame_indexes(episode)["cam_extra"]
    assert index.repeated().tolist() == [False, True, True, True, False, True, False]
    assert not index.broken().any()

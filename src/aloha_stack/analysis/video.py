"""A video of an episode's four cameras, side by side."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.codec.codec import UnknownCodecError

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import frame_indexes
from aloha_stack.episodes.reader import Episode

ENCODERS = ("libx264", "mpeg4")
"""By preference; ffmpeg builds without the former exist."""

COLUMNS = 2


def write_video(
    episode: Episode,
    path: Path,
    rate_hz: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes an mp4 in episode time: at every 1/`rate_hz` s the latest picture of each camera.

    `progress` is called with the frames done and their total. Raises EpisodeError if no camera was
    recorded or a picture is damaged, and OSError if the file cannot be written.
    """
    streams = frame_indexes(episode)
    if not streams:
        raise EpisodeError(
            f"{episode.path} holds no pictures for a video; was it recorded without cameras?"
        )
    first = next(iter(streams.values()))
    height, width = first.height, first.width
    start = min(int(stream.stamps_ns[0]) for stream in streams.values())
    end = max(int(stream.stamps_ns[-1]) for stream in streams.values())
    steps = np.arange(start, end + 1, 1_000_000_000 // rate_hz, dtype=np.int64)
    rows = -(-len(streams) // COLUMNS)
    canvas = np.full((rows * height, COLUMNS * width, 3), 24, np.uint8)
    shown = dict.fromkeys(streams, -1)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        output: Any = container.add_stream(_encoder(), rate=Fraction(rate_hz))
        output.width, output.height = _even(canvas.shape[1]), _even(canvas.shape[0])
        output.pix_fmt = "yuv420p"
        output.options = (
            {"crf": "23", "preset": "veryfast"} if output.name == "libx264" else {"q:v": "4"}
        )
        for done, step in enumerate(steps):
            for place, (camera, stream) in enumerate(streams.items()):
                latest = int(np.searchsorted(stream.stamps_ns, step, side="right")) - 1
                if latest >= 0 and latest != shown[camera]:
                    picture = _sized(stream.rgb(latest), height, width)
                    row, column = divmod(place, COLUMNS)
                    tile = canvas[row * height :, column * width :][:height, :width]
                    tile[:] = picture
                    _label(tile, camera)
                    shown[camera] = latest
            picture = canvas[: output.height, : output.width]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(output.encode(frame))
            if progress is not None:
                progress(done + 1, len(steps))
        container.mux(output.encode(None))
    return path


def _encoder() -> str:
    for name in ENCODERS:
        try:
            av.Codec(name, "w")
        except UnknownCodecError:
            continue
        return name
    raise EpisodeError(
        f"this ffmpeg has no encoder for mp4 (looked for {', '.join(ENCODERS)}); install PyAV's "
        "own wheel: pip install --force-reinstall av"
    )


def _even(length: int) -> int:
    """yuv420p keeps one colour for 2 × 2 pixels, so both sides have to be even."""
    return length - length % 2


def _sized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _label(tile: np.ndarray, text: str) -> None:
    """Writes the camera's name into the corner, on a dark ground that any picture bears."""
    scale = tile.shape[1] / 640
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, 1)
    pad = max(round(8 * scale), 2)
    corner = tile[: height + 2 * pad, : width + 2 * pad]
    corner[:] = (corner * 0.35).astype(np.uint8)
    cv2.putText(
        tile,
        text,
        (pad, height + pad),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.6 * scale,
        (255, 255, 255),
        1,
        cv2.LINE_AA,
    )

"""The videos of a LeRobotDataset v3.0: one camera's episodes, one after the other, in MP4 files.

Every episode is encoded into a file of its own, whose pictures are counted, and then appended
without encoding anew. Only one encoder is at work at a time: that bounds the memory.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.lerobot_layout import VIDEO_MB, VIDEO_PATH, next_place, video_key
from aloha_stack.episodes.schedulers import as_before

LONGEST_S = 1000.0
"""Of a file of several episodes. LeRobot looks pictures up by float32 seconds to 0.0001 s, which
float32 does not resolve beyond 1024 s."""


@dataclass(frozen=True)
class Codec:
    """An encoder and its options; a key frame at every second picture, for quick random access."""

    name: str
    encoder: str
    options: dict[str, str]


BYTES_PER_PIXEL = 0.1
"""What a video takes, for a forecast. Textured, noisy footage (bench/footage.py) takes 0.04 to 0.06
at 480×640 and 0.05 to 0.08 at 240×320, noise alone 0.3 to 0.6."""

CODECS = {
    codec.name: codec
    for codec in (
        # lerobot's defaults; lp: two threads, which leave others something and need less memory
        Codec(
            "av1",
            "libsvtav1",
            {"g": "2", "crf": "30", "preset": "12", "svtav1-params": "lp=2"},
        ),
        Codec("h264", "libx264", {"g": "2", "crf": "23", "preset": "veryfast", "bf": "0"}),
    )
}


@dataclass(frozen=True)
class Stretch:
    """Where an episode's pictures are: (chunk, file), and from when to when, s."""

    place: tuple[int, int]
    begin_s: float
    end_s: float


def encode(
    pictures: Iterable[np.ndarray], path: Path, codec: Codec, fps: int, size: tuple[int, int]
) -> None:
    """Writes `pictures`, (height, width, 3) uint8 RGB each, as a video. Raises OSError."""
    os.environ.setdefault("SVT_LOG", "1")  # errors only: SVT-AV1 talks to the terminal
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream(codec.encoder, rate=fps, options=dict(codec.options))
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            if number == 0:  # opens the encoder
                with as_before():
                    packets = stream.encode(frame)
            else:
                packets = stream.encode(frame)
            out.mux(packets)
        out.mux(stream.encode(None))


def check_video(path: Path, count: int, fps: int, what: str) -> None:
    """Raises EpisodeError unless the file has exactly `count` pictures, number i at i / fps."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        packets = [(p.pts, p.time_base) for p in file.demux(stream) if p.size]
    times = sorted(pts * base for pts, base in packets if pts is not None and base is not None)
    wrong = [i for i, time in enumerate(times) if abs(time * fps - i) > Fraction(1, 2)]
    if len(packets) != count or len(times) != count or wrong:
        at = f", picture {wrong[0]} is not in its place" if wrong else ""
        raise EpisodeError(
            f"{what} became a video of {len(packets)} pictures; it has {count} rows{at}: nothing "
            "was kept of this export"
        )


class CameraVideos:
    """The files of one camera. Not usable after an error."""

    def __init__(self, root: Path, camera: str, codec: Codec, fps: int) -> None:
        self._root, self._camera, self._codec, self._fps = root, camera, codec, fps
        self._place = (0, 0)
        self._out: Any = None
        self._stream: Any = None
        self._frames = self._bytes = 0
        self._sources: list[str] = []
        self.about: dict[str, Any] = {}

    def add(
        self, pictures: Iterable[np.ndarray], count: int, size: tuple[int, int], source: str
    ) -> Stretch:
        """Encodes an episode of `count` pictures. Raises EpisodeError, which names it; OSError."""
        path = self._root / f"{self._camera}.mp4"
        try:
            encode(pictures, path, self._codec, self._fps, size)
        except av.error.FFmpegError as error:
            raise EpisodeError(f"{source}: {self._camera} cannot be encoded: {error}") from error
        check_video(path, count, self._fps, f"{source}: {self._camera}")
        length = path.stat().st_size
        full = self._bytes + length >= VIDEO_MB << 20
        if self._frames and (full or self._frames + count > LONGEST_S * self._fps):
            self.close()
            self._place = next_place(self._place)
        begin = self._frames
        self._append(path)
        self._frames, self._bytes = self._frames + count, self._bytes + length
        self._sources.append(source)
        path.unlink()
        return Stretch(self._place, begin / self._fps, self._frames / self._fps)

    def close(self) -> None:
        """Completes the file and counts its pictures. Raises EpisodeError, OSError."""
        if self._out is None:
            return
        self._out.close()
        check_video(self._path(), self._frames, self._fps, ", ".join(self._sources))
        self._out, self._frames, self._bytes, self._sources = None, 0, 0, []

    def _append(self, path: Path) -> None:
        with av.open(str(path)) as part:
            stream = part.streams.video[0]
            if self._out is None:
                self._open(stream)
            assert stream.time_base is not None  # an MP4 has one
            before = round(self._frames / self._fps / stream.time_base)
            for packet in part.demux(stream):
                if packet.pts is not None and packet.dts is not None:
                    packet.pts += before
                    packet.dts += before
                    packet.stream = self._stream
                    self._out.mux(packet)

    def _open(self, stream: Any) -> None:
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True)
        # faststart: the index in front, as a reader over the network wants it
        self._out = av.open(str(path), "w", options={"movflags": "faststart"})
        self._stream = self._out.add_stream_from_template(stream, opaque=True)
        self._stream.time_base = stream.time_base
        self.about = {
            "video.height": stream.height,
            "video.width": stream.width,
            "video.codec": stream.codec.canonical_name,
            "video.pix_fmt": stream.pix_fmt,
            "video.is_depth_map": False,
            "video.fps": self._fps,
            "video.channels": 3,
            "has_audio": False,
        }

    def _path(self) -> Path:
        chunk, file = self._place
        key = video_key(self._camera)
        return self._root / VIDEO_PATH.format(video_key=key, chunk_index=chunk, file_index=file)

"""Frames at random from the videos of a LeRobotDataset v3.0.

A frame is found as LeRobot's own readers do: seek to the key frame before it, decode up to it.
"""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


class VideoFrames:
    """Frames of video files, which stay open: the fastest that PyAV gives on this footage.

    (One thread; opening the file for each frame, as lerobot's own pyav backend does, costs half as
    much again.)
    """

    def __init__(self, files: Sequence[Path], fps: int) -> None:
        self._files, self._fps = tuple(files), fps
        self._open: dict[tuple[int, int], tuple[Any, Any]] = {}

    def frame(self, video: int, number: int) -> np.ndarray:
        """(height, width, 3) uint8 RGB."""
        container, stream = self._opened(video)
        time = Fraction(number, self._fps)
        container.seek(int(time / stream.time_base), stream=stream, backward=True)
        for frame in container.decode(stream):
            if frame.pts * stream.time_base >= time:
                picture: np.ndarray = frame.to_ndarray(format="rgb24")
                return picture
        raise ValueError(f"{self._files[video]} has no frame {number}")

    def _opened(self, video: int) -> tuple[Any, Any]:
        key = (os.getpid(), video)  # a forked process would share the place in the file
        if key not in self._open:
            container = av.open(str(self._files[video]))
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            self._open[key] = container, stream
        return self._open[key]

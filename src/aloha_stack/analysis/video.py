"""A video of an episode's four cameras, side by side."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from aloha_stack.analysis.mosaic_video import MosaicVideo
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import frame_indexes
from aloha_stack.episodes.reader import Episode


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
    start = min(int(stream.stamps_ns[0]) for stream in streams.values())
    end = max(int(stream.stamps_ns[-1]) for stream in streams.values())
    steps = np.arange(start, end + 1, 1_000_000_000 // rate_hz, dtype=np.int64)
    shown = dict.fromkeys(streams, -1)
    with MosaicVideo(path, list(streams), first.height, first.width, rate_hz) as video:
        for done, step in enumerate(steps):
            for camera, stream in streams.items():
                latest = int(np.searchsorted(stream.stamps_ns, step, side="right")) - 1
                if latest >= 0 and latest != shown[camera]:
                    video.show(camera, stream.rgb(latest))
                    shown[camera] = latest
            video.write()
            if progress is not None:
                progress(done + 1, len(steps))
    return path

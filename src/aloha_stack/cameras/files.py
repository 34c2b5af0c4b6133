"""Images from a folder or a video file, in an endless loop: a camera for benches and tests.

Frames come at the camera's rate on the machine's clock. Whoever reads too late loses frames, as of
any camera, and sees it in their sequence numbers.
"""

import time
from pathlib import Path

import cv2
import numpy as np

from aloha_stack.cameras.jpeg import encode
from aloha_stack.cameras.source import ENCODED, PASSTHROUGH, Frame, SourceError, SourceHealth
from aloha_stack.robot.description import Camera

IMAGES = (".jpg", ".jpeg", ".png")
QUEUE = 8
"""Frames kept for a reader who is late."""

MOST_BYTES = 256_000_000
"""A folder that is larger is refused: it would be held in memory."""


class FileCamera:
    """What folders and videos share: the pace. Subclasses say what comes next."""

    def __init__(self, path: Path, camera: Camera) -> None:
        self.path, self.camera = path, camera
        self.health = SourceHealth(ENCODED)
        self._period_ns = round(1e9 / camera.rate_hz)
        self._open = False
        self._sequence = 0
        self._due_ns = 0
        self._ready: bytes | None = None

    def open(self) -> None:
        if self._open:
            raise SourceError(f"{self.camera.name} is open already")
        self._load()
        self._open, self._sequence, self._ready = True, 0, None
        self._due_ns = time.monotonic_ns()

    def read(self, timeout_s: float) -> Frame | None:
        if not self._open:
            raise SourceError(f"{self.camera.name} is closed: open it before reading")
        self._skip_what_is_too_late()
        if self._ready is None:
            self._ready = self._next()
        wait_s = (self._due_ns - time.monotonic_ns()) * 1e-9
        time.sleep(max(0.0, min(wait_s, timeout_s)))
        if wait_s > timeout_s:
            return None
        jpeg, self._ready = self._ready, None
        exposed_ns = time.time_ns() - (time.monotonic_ns() - self._due_ns)  # however late we woke
        frame = Frame(exposed_ns, self._sequence, jpeg, self.camera.width, self.camera.height)
        self._sequence += 1
        self._due_ns += self._period_ns
        return frame

    def close(self) -> None:
        if self._open:
            self._open = False
            self._unload()

    def _skip_what_is_too_late(self) -> None:
        late = (time.monotonic_ns() - self._due_ns) // self._period_ns
        if late > QUEUE:
            self._sequence += late
            self._due_ns += late * self._period_ns
            self._ready = None

    def _load(self) -> None:
        raise NotImplementedError

    def _next(self) -> bytes:
        """The JPEG of the next image."""
        raise NotImplementedError

    def _unload(self) -> None:
        raise NotImplementedError

    def _fitted(self, image: np.ndarray) -> bytes:
        size = (self.camera.width, self.camera.height)
        if (image.shape[1], image.shape[0]) != size:
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return encode(image, self.camera.jpeg_quality)


class FolderCamera(FileCamera):
    """Plays the images of the folder `path`: all read before the first frame, so that playing costs
    next to nothing. JPEG files of the right size are passed on untouched.
    """

    def _load(self) -> None:
        if not self.path.is_dir():
            raise SourceError(f"{self.camera.name}: no folder or video file {self.path}")
        files = sorted(p for p in self.path.iterdir() if p.suffix.lower() in IMAGES)
        if not files:
            raise SourceError(f"{self.camera.name}: no images ({', '.join(IMAGES)}) in {self.path}")
        if (size := sum(file.stat().st_size for file in files)) > MOST_BYTES:
            raise SourceError(
                f"{self.camera.name}: the images in {self.path} take {size / 1e6:.0f} MB, and at "
                f"most {MOST_BYTES / 1e6:.0f} MB are held in memory: make a video file of them"
            )
        self.health = SourceHealth(PASSTHROUGH)
        self._jpegs = [self._from_image(file) for file in files]

    def _next(self) -> bytes:
        return self._jpegs[self._sequence % len(self._jpegs)]

    def _unload(self) -> None:
        self._jpegs = []

    def _from_image(self, file: Path) -> bytes:
        content = file.read_bytes()
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f"{self.camera.name}: {file} is no image that OpenCV can read")
        right_size = image.shape[:2] == (self.camera.height, self.camera.width)
        if right_size and file.suffix.lower() != ".png":
            return content
        self.health.mode = ENCODED
        return self._fitted(image)


class VideoCamera(FileCamera):
    """Plays the video file `path` as it is read, however long it is; each image is encoded once."""

    def _load(self) -> None:
        self._video = cv2.VideoCapture(str(self.path))
        self._first = self._from_video()
        if self._first is None:
            self._video.release()
            raise SourceError(f"{self.camera.name}: {self.path} is no video that OpenCV can read")

    def _next(self) -> bytes:
        jpeg, self._first = self._first or self._from_video(), None
        if jpeg is None:  # the end: from the beginning again
            self._video.release()
            self._video = cv2.VideoCapture(str(self.path))
            jpeg = self._from_video()
        if jpeg is None:
            raise SourceError(f"{self.camera.name}: {self.path} cannot be read any more")
        return jpeg

    def _unload(self) -> None:
        self._video.release()

    def _from_video(self) -> bytes | None:
        there, image = self._video.read()
        return self._fitted(image) if there else None

"""Images from a folder or a video file, in an endless loop: a camera for benches and tests.

Images are read and encoded before the first frame, so that playing costs next to nothing; JPEG
files of the right size are passed on untouched. Frames come at the camera's rate on the machine's
clock.
"""

import time
from pathlib import Path

import cv2
import numpy as np

from aloha_stack.cameras.jpeg import encode
from aloha_stack.cameras.source import Frame, SourceError
from aloha_stack.robot.description import Camera

IMAGES = (".jpg", ".jpeg", ".png")
AT_MOST = 500
"""Frames kept of a video: 10 s at 50 Hz, about 20 MB."""


class FileCamera:
    """Plays the images of the folder, or of the video file, `path`."""

    def __init__(self, path: Path, camera: Camera) -> None:
        self.path, self.camera = path, camera
        self._jpegs: list[bytes] = []
        self._sequence = 0
        self._due_ns = 0

    def open(self) -> None:
        if self._jpegs:
            raise SourceError(f"{self.camera.name} is open already")
        if self.path.is_dir():
            self._jpegs = self._from_folder()
        elif self.path.is_file():
            self._jpegs = self._from_video()
        else:
            raise SourceError(f"{self.camera.name}: no folder or video file {self.path}")
        self._sequence, self._due_ns = 0, time.monotonic_ns()

    def read(self, timeout_s: float) -> Frame | None:
        if not self._jpegs:
            raise SourceError(f"{self.camera.name} is closed: open it before reading")
        wait_s = (self._due_ns - time.monotonic_ns()) * 1e-9
        time.sleep(max(0.0, min(wait_s, timeout_s)))
        if wait_s > timeout_s:
            return None
        jpeg = self._jpegs[self._sequence % len(self._jpegs)]
        frame = Frame(time.time_ns(), self._sequence, jpeg, self.camera.width, self.camera.height)
        self._sequence += 1
        self._due_ns += round(1e9 / self.camera.rate_hz)
        return frame

    def close(self) -> None:
        self._jpegs = []

    def _from_folder(self) -> list[bytes]:
        files = sorted(p for p in self.path.iterdir() if p.suffix.lower() in IMAGES)
        if not files:
            raise SourceError(f"{self.camera.name}: no images ({', '.join(IMAGES)}) in {self.path}")
        return [self._from_image(file) for file in files]

    def _from_image(self, file: Path) -> bytes:
        content = file.read_bytes()
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f"{self.camera.name}: {file} is no image that OpenCV can read")
        right_size = image.shape[:2] == (self.camera.height, self.camera.width)
        if right_size and file.suffix.lower() != ".png":
            return content
        return self._fitted(image)

    def _from_video(self) -> list[bytes]:
        video = cv2.VideoCapture(str(self.path))
        jpegs: list[bytes] = []
        while len(jpegs) < AT_MOST:
            there, image = video.read()
            if not there:
                break
            jpegs.append(self._fitted(image))
        video.release()
        if not jpegs:
            raise SourceError(f"{self.camera.name}: {self.path} is no video that OpenCV can read")
        return jpegs

    def _fitted(self, image: np.ndarray) -> bytes:
        size = (self.camera.width, self.camera.height)
        if (image.shape[1], image.shape[0]) != size:
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return encode(image, self.camera.jpeg_quality)

"""The camera itself, as V4L2Camera sees it, and the one that OpenCV reads. Tests replace it."""

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from aloha_stack.cameras.source import SourceError
from aloha_stack.cameras.v4l2_device import V4l2Device, fourcc
from aloha_stack.cameras.v4l2_setup import JPEGS, choose_format, set_controls
from aloha_stack.robot.description import Camera


class Capture(Protocol):
    """An opened camera; for one thread. Its calls may block as long as a driver does."""

    jpeg: bool
    """Whether images are the camera's own JPEG: bytes (n,) uint8, else BGR (height, width, 3)."""

    def read(self) -> tuple[np.ndarray, float] | None:
        """An image, and the time in s that the driver gave it (0: none); None if none came.

        Raises SourceError if the camera is gone.
        """

    def close(self) -> None:
        """Lets go of the camera."""


OpenCapture = Callable[[str, Camera], Capture]
"""Opens the device at a path as a camera of the robot file. Raises SourceError."""


class OpenCvCapture:
    """A V4L2 device, set up by ioctl and read by OpenCV.

    JPEG comes as it left the camera: with CONVERT_RGB off OpenCV hands over the driver's bytes.
    """

    def __init__(self, path: str, camera: Camera) -> None:
        self._path = path
        with V4l2Device(path) as device:
            code = choose_format(device, camera)
            set_controls(device, camera.controls)
        self.jpeg = code in JPEGS
        self._video = cv2.VideoCapture(path, cv2.CAP_V4L2)
        try:
            self._set_up(camera, code)
        except BaseException:
            self._video.release()
            raise

    def read(self) -> tuple[np.ndarray, float] | None:
        if not self._video.grab():
            if self._is_there():
                return None
            raise SourceError(f"{self._path} is gone: is the camera plugged in?")
        time_s = self._video.get(cv2.CAP_PROP_POS_MSEC) * 1e-3
        there, image = self._video.retrieve()
        return (image.reshape(-1) if self.jpeg else image, time_s) if there else None

    def close(self) -> None:
        self._video.release()

    def _set_up(self, camera: Camera, code: str) -> None:
        if not self._video.isOpened():
            raise SourceError(
                f"{self._path} does not stream: does another program have it (fuser {self._path})?"
            )
        for name, value in (
            (cv2.CAP_PROP_CONVERT_RGB, 0 if self.jpeg else 1),
            (cv2.CAP_PROP_FOURCC, fourcc(code)),
            (cv2.CAP_PROP_FRAME_WIDTH, camera.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, camera.height),
            (cv2.CAP_PROP_FPS, camera.rate_hz),
        ):
            self._video.set(name, value)
        found = (
            round(self._video.get(cv2.CAP_PROP_FRAME_WIDTH)),
            round(self._video.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        if found != (camera.width, camera.height):
            raise SourceError(
                f"{self._path} gives {found[0]}x{found[1]} though it offers "
                f"{camera.width}x{camera.height}: does another program have it?"
            )

    def _is_there(self) -> bool:
        try:
            with V4l2Device(self._path):
                return True
        except SourceError:
            return False

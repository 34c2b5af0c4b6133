"""A camera behind the seam that OpenCV's captures stand behind, to which everything can happen."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np

from aloha_stack.cameras.source import SourceError
from aloha_stack.robot.description import Camera


def picture(value: int = 100, width: int = 320, height: int = 240) -> np.ndarray:
    """An image with edges, BGR."""
    image = np.full((height, width, 3), value, np.uint8)
    image[height // 3 :, : width // 2] = (255 - value, value // 2, 30)
    return image


def jpeg_of(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


class FakeCamera:
    """Give `open` to a V4L2Camera. Images: the JPEGs (or arrays) of `images`, round and round.

    plugged: whether it is there. hanging: its driver does not come back from a call. stamp: what
    the driver says of an image exposed at that time, s of the steady clock. exposed_s: when they
    were, all that it gave.
    """

    def __init__(self, images: Iterable[bytes | np.ndarray] = ()) -> None:
        self.images = list(images) or [jpeg_of(picture(value)) for value in (60, 120, 180)]
        self.plugged, self.hanging = True, threading.Event()
        self.awake = threading.Event()
        self.opened = self.closed = 0
        self.stamp: Callable[[float], float] = lambda exposed_s: exposed_s
        self.exposed_s: list[float] = []
        self.silent = False

    def open(self, path: str, camera: Camera) -> "FakeCapture":
        self.wait_if_hanging()
        if not self.plugged:
            raise SourceError(f"{path} does not exist: plug the camera in")
        self.opened += 1
        return FakeCapture(self, camera)

    def hang(self) -> None:
        self.awake.clear()
        self.hanging.set()

    def wake(self) -> None:
        self.hanging.clear()
        self.awake.set()

    def wait_if_hanging(self) -> None:
        if self.hanging.is_set():
            self.awake.wait()

    def wait_until_closed(self) -> None:
        """Until a capture was closed, which a source may do long after its close()."""
        self._wait(lambda: self.closed)

    def wait_until_given(self, more: int) -> None:
        """Until so many images more were given."""
        count = len(self.exposed_s) + more
        self._wait(lambda: len(self.exposed_s) >= count)

    def _wait(self, condition: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline_s, "waited in vain"
            time.sleep(0.01)


class FakeCapture:
    def __init__(self, fake: FakeCamera, camera: Camera) -> None:
        self._fake, self._period_s = fake, 1 / camera.rate_hz
        self.jpeg = isinstance(fake.images[0], bytes)
        self._images = self._round_and_round()
        self._due_s = time.monotonic()

    def read(self) -> tuple[np.ndarray, float] | None:
        self._fake.wait_if_hanging()
        if not self._fake.plugged:
            raise SourceError("/dev/fake is gone: is the camera plugged in?")
        if self._fake.silent:
            return None
        exposed_s = self._due_s
        time.sleep(max(0.0, exposed_s - time.monotonic()))
        self._due_s += self._period_s
        self._fake.exposed_s.append(exposed_s)
        return next(self._images), self._fake.stamp(exposed_s)

    def close(self) -> None:
        self._fake.closed += 1

    def _round_and_round(self) -> Iterator[np.ndarray]:
        while True:
            for image in list(self._fake.images):
                yield np.frombuffer(image, np.uint8) if isinstance(image, bytes) else image

"""Cameras of the twin: rendered here, in the camera's process, from the snapshots that the world
leaves.

All twin sources of a process that look at the same world share one TwinView: one thread with one
renderer (an OpenGL context belongs to a thread), which renders the cameras of a snapshot in turn.
"""

import threading
from collections import deque
from pathlib import Path

import numpy as np

from aloha_stack.cameras.jpeg import encode_rgb
from aloha_stack.cameras.source import (
    ENCODED,
    Frame,
    SourceError,
    SourceHealth,
    UnknownSourceError,
)
from aloha_stack.robot.description import Camera
from aloha_stack.twin.looks import look_of
from aloha_stack.twin.renderer import RendererError, SceneRenderer, camera_names
from aloha_stack.twin.snapshots import SnapshotError, SnapshotReader
from aloha_stack.twin.tasks import find_task

QUEUE = 8
"""Frames kept for a source that is not read; then the oldest is dropped."""
WAIT_S = 0.05


class TwinCamera:
    """One camera of the twin's scene: `source` is its name there."""

    def __init__(self, view: "TwinView", source: str, camera: Camera) -> None:
        self.view, self.source, self.camera = view, source, camera
        self.health = SourceHealth(ENCODED)
        self._frames: deque[tuple[int, int, np.ndarray]] = deque(maxlen=QUEUE)
        self._changed = threading.Condition()
        self._error: SourceError | None = None
        self._open = False
        self._sequence = 0
        self._due_ns: int | None = None

    def open(self) -> None:
        if self._open:
            raise SourceError(f"{self.camera.name} is open already")
        self._frames.clear()
        self._error, self._sequence, self._due_ns, self._open = None, 0, None, True
        try:
            self.view.attach(self)
        except SourceError:
            self._open = False
            raise

    def read(self, timeout_s: float) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._error or not self._open, timeout_s)
            if not self._frames:
                if self._error:
                    raise self._error
                if not self._open:
                    raise SourceError(f"{self.camera.name} is closed: open it before reading")
                return None
            stamp_ns, sequence, image = self._frames.popleft()
        # Here and not in the rendering thread, which meanwhile renders the next image.
        jpeg = encode_rgb(image, self.camera.jpeg_quality)
        return Frame(stamp_ns, sequence, jpeg, self.camera.width, self.camera.height)

    def close(self) -> None:
        if not self._open:
            return
        with self._changed:
            self._open = False
            self._frames.clear()
            self._changed.notify_all()
        self.view.detach(self)

    def is_due(self, time_ns: int) -> bool:
        """Whether the camera exposes at `time_ns`: at its own rate, as well as snapshots allow."""
        period = round(1e9 / self.camera.rate_hz)
        if self._due_ns is None or not -period <= self._due_ns - time_ns <= period:
            self._due_ns = time_ns
        # Half a millisecond: periods and snapshots are rounded to ns.
        if time_ns < self._due_ns - 500_000:
            return False
        self._due_ns += period
        return True

    def deliver(self, time_ns: int, image: np.ndarray) -> None:
        """From the rendering thread: an image (height, width, 3) uint8 RGB."""
        with self._changed:
            self._frames.append((time_ns, self._sequence, image))
            self._sequence += 1
            self._changed.notify_all()

    def fail(self, error: SourceError) -> None:
        """From the rendering thread: nothing more will come."""
        with self._changed:
            self._error = error
            self._changed.notify_all()


class TwinView:
    """The rendering thread of the world at `path`; runs while a camera is attached."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._cameras: tuple[TwinCamera, ...] = ()
        self._thread: threading.Thread | None = None

    def attach(self, camera: TwinCamera) -> None:
        """Begins to render `camera`. Raises SourceError if there is no world, or no such camera."""
        with self._lock:
            self._check(camera)
            self._cameras = (*self._cameras, camera)
            if self._thread is None or not self._thread.is_alive():
                self._start()

    def detach(self, camera: TwinCamera) -> None:
        """Stops rendering `camera`; the thread ends with the last one."""
        with self._lock:
            self._cameras = tuple(other for other in self._cameras if other is not camera)
            thread, last = self._thread, not self._cameras
            if last:
                self._thread = None
        if last and thread is not None:
            thread.join()

    def _check(self, camera: TwinCamera) -> None:
        sizes = {(c.camera.width, c.camera.height) for c in (*self._cameras, camera)}
        if len(sizes) > 1:
            raise SourceError(
                f"{camera.camera.name}: all cameras of the twin in one process must have one size, "
                f"got {', '.join(f'{w}x{h}' for w, h in sorted(sizes))}"
            )

    def _start(self) -> None:
        try:
            reader = SnapshotReader(self.path, "cameras")
        except SnapshotError as error:
            self._cameras = self._cameras[:-1]
            raise SourceError(str(error)) from error
        self._thread = threading.Thread(
            target=self._run, args=(reader,), name="twin-render", daemon=True
        )
        self._thread.start()

    def _run(self, reader: SnapshotReader) -> None:
        size = self._cameras[0].camera
        try:
            renderer = SceneRenderer(reader.task, size.width, size.height)
            try:
                reader.skip_to_newest()
                self._render(reader, renderer)
            finally:
                renderer.close()
        except (SnapshotError, RendererError, SourceError) as error:
            self._fail(SourceError(str(error)))
        except Exception as error:
            self._fail(SourceError(f"rendering the twin's world failed: {error!r}"))
            raise
        finally:
            reader.close()

    def _fail(self, error: SourceError) -> None:
        """From the rendering thread, which ends: its cameras get nothing more."""
        with self._lock:
            if self._thread is not threading.current_thread():
                return
            cameras, self._cameras, self._thread = self._cameras, (), None
        for camera in cameras:
            camera.fail(error)

    def _render(self, reader: SnapshotReader, renderer: SceneRenderer) -> None:
        while (cameras := self._cameras) and self._thread is threading.current_thread():
            snapshot = reader.next(WAIT_S)
            if snapshot is None:
                continue
            due = [camera for camera in cameras if camera.is_due(snapshot.time_ns)]
            if due:
                renderer.dress(look_of(reader.looks, snapshot.seed))
                renderer.pose(snapshot.qpos)
            for camera in due:
                camera.deliver(snapshot.time_ns, renderer.render(camera.source))
                reader.alive()


def check_scene_camera(name: str) -> None:
    """Raises UnknownSourceError, listing what exists, if the twin's scenes have no such camera."""
    known = camera_names(find_task("transfer_cube").load_scene())
    if name not in known:
        raise UnknownSourceError(
            f"the twin's scene has no camera '{name}'; it has {', '.join(known)}"
        )

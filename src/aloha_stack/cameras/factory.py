"""From a camera's URI in the robot file to its source.

twin:FOLDER/world#NAME    camera NAME of the scene of the twin whose port folder is FOLDER
file:PATH                 the images of a folder, or a video file, in a loop
v4l2:/dev/NAME            a USB camera

A camera of another driver, topic:/NAME, has no source: nobody here opens it.
"""

from pathlib import Path

from aloha_stack.cameras.files import FolderCamera, VideoCamera
from aloha_stack.cameras.source import CameraSource, UnknownSourceError
from aloha_stack.cameras.twin import TwinCamera, TwinView, check_scene_camera
from aloha_stack.cameras.v4l2 import V4L2Camera
from aloha_stack.robot.description import Camera

FORMS = "v4l2:/dev/NAME, topic:/NAME, file:PATH, twin:FOLDER/world#NAME"


class Sources:
    """The sources of one process: those of the same twin share one rendering thread."""

    def __init__(self) -> None:
        self._views: dict[Path, TwinView] = {}

    def open_source(self, uri: str, camera: Camera) -> CameraSource:
        """The source that `uri` names, not yet opened, with the camera's size, rate and quality.

        Raises UnknownSourceError if the URI is none of the known forms, or names no camera.
        """
        kind, _, rest = uri.partition(":")
        if kind == "twin":
            return self._twin(uri, rest, camera)
        if kind == "file" and rest:
            path = Path(rest)
            return VideoCamera(path, camera) if path.is_file() else FolderCamera(path, camera)
        if kind == "v4l2" and rest.startswith("/"):
            return V4L2Camera(rest, camera)
        if camera.foreign:
            raise UnknownSourceError(
                f"{camera.name}: another driver publishes {camera.topic}; nobody opens it here"
            )
        raise UnknownSourceError(f"{camera.name}: unknown source '{uri}'; there is {FORMS}")

    def _twin(self, uri: str, rest: str, camera: Camera) -> CameraSource:
        path, mark, name = rest.partition("#")
        if not (path and mark and name):
            raise UnknownSourceError(
                f"{camera.name}: '{uri}' is no twin camera; expected twin:FOLDER/world#NAME"
            )
        check_scene_camera(name)
        view = self._views.setdefault(Path(path).resolve(), TwinView(Path(path).resolve()))
        return TwinCamera(view, name, camera)


def open_source(uri: str, camera: Camera) -> CameraSource:
    """One source on its own; for several of a process, ask one `Sources` for all."""
    return Sources().open_source(uri, camera)

"""Episodes whose every picture tells which it is, made as the recorder makes them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from aloha_stack.episodes.metadata import EpisodeInfo, pause_notes
from aloha_stack.episodes.qos import Qos
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.robot.joints import FOLLOWERS, JOINTS, LEADERS, STATE_JOINTS
from episodes.sample_episodes import START_NS, image_bytes, joint_bytes, topic

TWO_CAMERAS = ("cam_high", "cam_low")


def write(
    directory: Path,
    seconds: float = 1.2,
    cameras: Sequence[str] = TWO_CAMERAS,
    camera_ticks: int = 2,
    size: tuple[int, int] = (48, 64),
    robot: str = "twin",
    pauses: Sequence[tuple[float, float]] = (),
    still: Sequence[str] = (),
    number: int = 0,
    leaders: bool = True,
) -> Path:
    """Joints at 100 Hz, pictures every `camera_ticks`-th tick; `pauses` are in s, `still` joints
    do not move, and `number` makes pictures and joints those of another episode."""
    directory.mkdir(parents=True, exist_ok=True)
    states = [f"/{arm}/joint_states" for arm in (LEADERS if leaders else ()) + FOLLOWERS]
    commands = [f"/{arm}/command_executed" for arm in FOLLOWERS]
    images = {camera: f"/{camera}/image_raw/compressed" for camera in cameras}
    topics = [topic(name) for name in states + commands]
    topics += [
        topic(name, "sensor_msgs/msg/CompressedImage", Qos("best_effort"))
        for name in images.values()
    ]
    paused = [(START_NS + int(a * 1e9), START_NS + int(b * 1e9)) for a, b in pauses]
    info = EpisodeInfo(task="pick", robot=robot, notes=pause_notes(paused))
    writer = EpisodeWriter(directory, topics, info)
    for tick in range(round(seconds * 100)):
        now = START_NS + tick * 10_000_000
        if any(begin <= now <= end for begin, end in paused):
            continue
        for name in states:
            data = joint_bytes(now, swing(tick, number, STATE_JOINTS, still), STATE_JOINTS)
            writer.write(name, data, now, now, tick + 1)
        for name in commands:
            data = joint_bytes(now, swing(tick, number, JOINTS, still))
            writer.write(name, data, now, now, tick + 1)
        if tick % camera_ticks == 0:
            for camera, name in images.items():
                data = image_bytes(now, picture(number, cameras.index(camera), tick, size))
                writer.write(name, data, now, now)
    return writer.finish("success")


def swing(tick: int, number: int, names: Sequence[str], still: Sequence[str] = ()) -> list[float]:
    """Positions of the joints `names`."""
    moving = 0.2 * np.sin(0.05 * tick + number + np.arange(len(names)))
    return [0.1 if name in still else float(x) for name, x in zip(names, moving, strict=True)]


def picture(number: int, camera: int, tick: int, size: tuple[int, int] = (48, 64)) -> bytes:
    """A JPEG whose green is the episode's, red the camera's and blue the tick's, with a slope."""
    rows = np.linspace(0, 60, size[0])[:, None]
    colour = np.empty((*size, 3))
    colour[..., 0] = tick % 128 + rows  # blue
    colour[..., 1] = 40 * number + rows
    colour[..., 2] = 80 * camera + rows
    options = [cv2.IMWRITE_JPEG_QUALITY, 95]
    return cv2.imencode(".jpg", colour.astype(np.uint8), options)[1].tobytes()

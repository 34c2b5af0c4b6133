"""A successful take becomes an episode, in the recorder's format: see docs/architecture.md."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from aloha_stack.demonstrations.settings import GENERATED, SIMULATED, Request
from aloha_stack.demonstrations.stream_log import Message
from aloha_stack.demonstrations.take import Take
from aloha_stack.episodes import schema
from aloha_stack.episodes.cdr_states import camera_info
from aloha_stack.episodes.cdr_writing import compressed_image
from aloha_stack.episodes.metadata import EpisodeInfo, Topic
from aloha_stack.episodes.streams import robot_streams
from aloha_stack.episodes.world_notes import NotedPosition, world_notes
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.robot.description import Robot
from aloha_stack.twin.direct_cameras import DirectCameras


class TakeWriter:
    """Writes the takes of one request. Belongs to the thread that made it (OpenGL)."""

    def __init__(self, request: Request, directory: Path) -> None:
        self._request, self._directory = request, directory
        self._robot = request.robot()
        self._topics = topics_of(self._robot)
        self._worlds = request.worlds()
        self._cameras = DirectCameras(request.task, self._robot)

    def write(self, take: Take) -> Path:
        """The episode of that take, numbered by its seed; its folder. Raises OSError.

        What was begun and not ended is removed again.
        """
        # Chunks end by their size alone, so that the same take makes the same file.
        writer = EpisodeWriter(
            self._directory,
            self._topics,
            self._info(take.seed),
            flush_interval_s=float("inf"),
            number=take.seed,
        )
        try:
            self._cameras.dress(self._worlds.look(take.seed))
            sequence: Counter[str] = Counter()
            for stamp_ns, topic, data in self._all(take):
                sequence[topic] += 1
                writer.write(topic, data, stamp_ns, stamp_ns, sequence[topic])
            return writer.finish("success")
        except BaseException:
            if not writer.closed:
                writer.discard()
            raise

    def _all(self, take: Take) -> Iterator[Message]:
        """Messages and pictures in the order of their stamps."""
        states = iter(take.states)
        stamp_ns, qpos = next(states)
        for message in take.messages:
            while stamp_ns <= message[0]:
                yield from self._pictures(stamp_ns, qpos)
                stamp_ns, qpos = next(states, (1 << 62, qpos))
            yield message

    def _pictures(self, stamp_ns: int, qpos: np.ndarray) -> Iterator[Message]:
        for name, picture in self._cameras.pictures(stamp_ns, qpos).items():
            camera, frame = self._robot.camera(name), f"{name}_optical"
            yield stamp_ns, camera.topic, compressed_image(stamp_ns, frame, picture.jpeg)
            info = camera_info(stamp_ns, frame, camera.width, camera.height)
            yield stamp_ns, camera.info_topic, info

    def _info(self, seed: int) -> EpisodeInfo:
        cameras = {camera.name: camera.topic for camera in self._robot.cameras.values()}
        return EpisodeInfo(
            task=self._request.task,
            seed=seed,
            robot=self._robot.name,
            notes={
                SIMULATED: "true",
                GENERATED: self._request.note(),
                "cameras": json.dumps(cameras),
                **self._world_notes(seed),
            },
        )

    def _world_notes(self, seed: int) -> dict[str, str]:
        position = self._worlds.position(seed)
        noted = None if position is None else NotedPosition(**asdict(position))
        return world_notes(self._worlds.text, noted)

    def close(self) -> None:
        """Frees the renderer."""
        self._cameras.close()


def topics_of(robot: Robot) -> tuple[Topic, ...]:
    """The recorder's topics of `robot`."""
    return tuple(
        Topic(
            stream.name,
            stream.type,
            schema.definition(stream.type),
            schema.type_hash(stream.type),
            (stream.qos,),
        )
        for stream in robot_streams(robot)
    )

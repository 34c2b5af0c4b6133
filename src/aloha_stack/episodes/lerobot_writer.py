"""Writes episodes of steps as a LeRobotDataset v3.0, one episode in memory at a time."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from aloha_stack.episodes.commanders import COMMANDERS
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.export_plan import Plan, Tell
from aloha_stack.episodes.lerobot_layout import (
    ACTION,
    AGE,
    COMMANDER,
    DATA_PATH,
    EFFORT,
    INFO_PATH,
    SKEW,
    STATE,
    STATS_PATH,
    TIME,
    VELOCITY,
    info,
    video_key,
)
from aloha_stack.episodes.lerobot_stats import (
    PictureStats,
    Stats,
    TotalStats,
    column_stats,
    sampled,
)
from aloha_stack.episodes.lerobot_tables import (
    EpisodeTable,
    RollingParquet,
    rows_schema,
    rows_table,
    write_tasks,
)
from aloha_stack.episodes.lerobot_video import BYTES_PER_PIXEL, CameraVideos, Codec
from aloha_stack.episodes.steps import EpisodeSteps, Form, decoded

SOURCES_PATH = "meta/sources.jsonl"
"""Beside what LeRobot knows: which recording each episode was made from."""

SMALLER = "choose a smaller --size, or fewer --cameras"
"""What makes a data set smaller."""


def check_form(form: Form, tasks: frozenset[str]) -> None:
    """Raises EpisodeError for what a LeRobotDataset cannot hold."""
    odd = [f"{name} {w}×{h}" for name, (h, w) in form.sizes.items() if h % 2 or w % 2]
    if odd:
        raise EpisodeError(
            f"{', '.join(odd)}: a video (yuv420p) has an even number of rows and columns; give "
            "--size"
        )
    if "" in tasks:
        raise EpisodeError("an episode has no task, and LeRobot wants one; give --task")


def video_bytes(plan: Plan) -> float:
    """What the videos of `plan` will take, about; all else is little beside them."""
    pixels = sum(height * width for height, width in plan.form.sizes.values())
    return plan.steps * pixels * BYTES_PER_PIXEL


class LeRobotWriter:
    """Takes episodes of one form. Nothing is whole before `finish`."""

    def __init__(self, root: Path, form: Form, codec: Codec) -> None:
        self._root, self._form = root, form
        self._schema = rows_schema(form)
        self._rows = RollingParquet(root, DATA_PATH)
        self._episodes = EpisodeTable(root)
        self._videos = {name: CameraVideos(root, name, codec, form.fps) for name in form.sizes}
        self._total = TotalStats()
        self._tasks: list[str] = []
        self._count = self._frames = 0
        (root / "meta").mkdir()

    def add(self, steps: EpisodeSteps, tell: Tell) -> None:
        """Writes the next episode. Raises EpisodeError, which names it, and OSError."""
        if steps.task not in self._tasks:
            self._tasks.append(steps.task)
        columns = self._columns(steps)
        stats = {name: column_stats(values) for name, values in columns.items()}
        videos: dict[str, Any] = {}
        for name in self._form.sizes:
            key = video_key(name)
            found, stats[key] = self._video(steps, name, tell)
            videos |= {f"videos/{key}/{what}": value for what, value in found.items()}
        chunk, file = self._rows.place()
        self._rows.write(rows_table(self._schema, columns))
        self._total.add(stats)
        self._episodes.add(
            {
                "episode_index": self._count,
                "tasks": [steps.task],
                "length": len(steps),
                "data/chunk_index": chunk,
                "data/file_index": file,
                "dataset_from_index": self._frames,
                "dataset_to_index": self._frames + len(steps),
                **videos,
                **{
                    f"stats/{name}/{key}": value.tolist()
                    for name, values in stats.items()
                    for key, value in values.items()
                },
            }
        )
        source = {"episode_index": self._count, "source": steps.source, "steps": len(steps)}
        with (self._root / SOURCES_PATH).open("a", encoding="utf-8") as out:
            out.write(json.dumps(source) + "\n")
        self._count, self._frames = self._count + 1, self._frames + len(steps)

    def finish(self) -> None:
        """Completes all files. Raises EpisodeError where pictures are missing, and OSError."""
        self._rows.close()
        self._episodes.close()
        about = {}
        for name, videos in self._videos.items():
            videos.close()
            about[video_key(name)] = videos.about
        write_tasks(self._root, self._tasks)
        self._write_json(STATS_PATH, self._total.as_lists())
        said = info(self._form, self._count, self._frames, len(self._tasks), about)
        self._write_json(INFO_PATH, said)

    def _video(self, steps: EpisodeSteps, name: str, tell: Tell) -> tuple[dict[str, Any], Stats]:
        stats = PictureStats()
        looked_at = set(sampled(len(steps)).tolist())

        def pictures() -> Iterator[np.ndarray]:
            for step, picture in enumerate(decoded(steps.cameras[name], len(steps))):
                if step in looked_at:
                    stats.add(picture)
                yield picture
                tell(1)

        size = self._form.sizes[name]
        stretch = self._videos[name].add(pictures(), len(steps), size, steps.source)
        chunk, file = stretch.place
        found = {
            "chunk_index": chunk,
            "file_index": file,
            "from_timestamp": stretch.begin_s,
            "to_timestamp": stretch.end_s,
        }
        return found, stats.stats()

    def _columns(self, steps: EpisodeSteps) -> dict[str, np.ndarray]:
        """By feature, (T, k) each, in its type."""
        count = len(steps)
        frame = np.arange(count)
        columns = {
            STATE: steps.state,
            ACTION: steps.action,
            VELOCITY: steps.velocity,
            EFFORT: steps.effort,
            TIME: steps.time_ns,
            COMMANDER: np.eye(len(COMMANDERS))[steps.commander],
            "timestamp": frame / steps.fps,
            "frame_index": frame,
            "episode_index": np.full(count, self._count),
            "index": self._frames + frame,
            "task_index": np.full(count, self._tasks.index(steps.task)),
        }
        if steps.capture_ns:
            skews = [steps.capture_ns[name] - steps.time_ns for name in self._form.sizes]
            columns[SKEW] = np.stack(skews, axis=1) * 1e-9
        if steps.joint_age_ns:
            columns[AGE] = np.stack(list(steps.joint_age_ns.values()), axis=1) * 1e-9
        typed = {}
        for field in self._schema:
            values = columns[field.name]
            assert values is not None, field.name
            kind = np.int64 if pa.types.is_integer(field.type) else np.float32
            typed[field.name] = np.asarray(values, kind).reshape(count, -1)
        return typed

    def _write_json(self, name: str, content: Any) -> None:
        path = self._root / name
        path.write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")

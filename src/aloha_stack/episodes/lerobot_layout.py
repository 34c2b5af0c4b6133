"""How a LeRobotDataset v3.0 is laid out: paths, limits, and what meta/info.json says.

Source: huggingface/lerobot v0.4.4, datasets/utils.py and lerobot_dataset.py. Every camera is a
feature of type video; `timestamp` is frame_index / fps. When things really happened is kept in
features of our own, whose names no policy takes for an observation or an action.
"""

from typing import Any

from aloha_stack.episodes.commanders import COMMANDERS
from aloha_stack.episodes.joint_numbers import NAMES
from aloha_stack.episodes.steps import Form

VERSION = "v3.0"
FILES_PER_CHUNK = 1000
DATA_MB = 100
VIDEO_MB = 200

PATTERN = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA_PATH = f"data/{PATTERN}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{PATTERN}.mp4"
EPISODES_PATH = f"meta/episodes/{PATTERN}.parquet"
TASKS_PATH, STATS_PATH, INFO_PATH = "meta/tasks.parquet", "meta/stats.json", "meta/info.json"

STATE, ACTION = "observation.state", "action"
VELOCITY, EFFORT = "observation.velocity", "observation.effort"
TIME = "time_ns"  # of the step, ROS time
SKEW = "capture.skew_s"  # exposure - step, of each camera
AGE = "joint_age_s"  # step - stamp of the sample used, of each joint stream

COMMANDER = "commander"  # who gave the action: 1 for one of COMMANDERS, 0 for the others

INDICES = ("frame_index", "episode_index", "index", "task_index")


def video_key(camera: str) -> str:
    """The feature of a camera."""
    return f"observation.images.{camera}"


def next_place(place: tuple[int, int]) -> tuple[int, int]:
    """(chunk, file) after `place`."""
    chunk, file = place
    return (chunk, file + 1) if file + 1 < FILES_PER_CHUNK else (chunk + 1, 0)


def features(form: Form) -> dict[str, dict[str, Any]]:
    """What each row has, in order: dtype, shape and the names of the components."""
    fourteen = {"dtype": "float32", "shape": [14], "names": list(NAMES)}
    found: dict[str, dict[str, Any]] = {STATE: fourteen, ACTION: fourteen}
    if form.velocity:
        found[VELOCITY] = fourteen
    if form.effort:
        found[EFFORT] = fourteen
    for camera, (height, width) in form.sizes.items():
        found[video_key(camera)] = {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
        }
    found[TIME] = {"dtype": "int64", "shape": [1], "names": None}
    found[COMMANDER] = _vector(list(COMMANDERS))
    if form.capture:
        found[SKEW] = _vector(list(form.sizes))
    if form.joints:
        found[AGE] = _vector(list(form.joints))
    found["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    for name in INDICES:
        found[name] = {"dtype": "int64", "shape": [1], "names": None}
    return found


def _vector(names: list[str]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [len(names)], "names": names}


def info(
    form: Form, episodes: int, frames: int, tasks: int, videos: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """meta/info.json; `videos` is what is to be said about each video feature."""
    described = {
        name: {**feature, "info": videos[name]} if name in videos else feature
        for name, feature in features(form).items()
    }
    return {
        "codebase_version": VERSION,
        "robot_type": form.robot or None,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": DATA_MB,
        "video_files_size_in_mb": VIDEO_MB,
        "fps": form.fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH,
        "features": described,
    }

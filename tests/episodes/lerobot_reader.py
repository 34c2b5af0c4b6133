"""Reads a data set with the lerobot package. Run by a Python that has it:

    PYTHON lerobot_reader.py DATASET EXPECTED

EXPECTED is an .npz with `state`, `action` (T, 14), `episode` (T,) and one array of pictures
(T, height, width, 3) uint8 for each camera key. Every index is asked for. Prints figures as JSON;
it imports nothing of the project.
"""

import json
import sys
from importlib.metadata import version

import numpy as np


def main(root: str, expected: str) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("test/export", root=root)
    with np.load(expected) as file:
        wanted = {name: file[name] for name in file.files}
    cameras = list(dataset.meta.camera_keys)
    errors: dict[str, list[float]] = {camera: [] for camera in cameras}
    shown: dict[str, list[int]] = {camera: [] for camera in cameras}
    numbers = []
    for index in range(len(dataset)):
        item = dataset[index]
        for name, key in (("state", "observation.state"), ("action", "action")):
            numbers.append(float(np.abs(item[key].numpy() - wanted[name][index]).max()))
        numbers.append(abs(int(item["episode_index"]) - int(wanted["episode"][index])))
        for camera in cameras:
            picture = item[camera].numpy().transpose(1, 2, 0) * 255.0
            apart = np.abs(wanted[camera].astype(np.float32) - picture).mean(axis=(1, 2, 3))
            errors[camera].append(float(apart[index]))
            shown[camera].append(int(apart.argmin()))
    figures = {
        "lerobot": version("lerobot"),
        "backend": dataset.video_backend,
        "rows": len(dataset),
        "episodes": dataset.num_episodes,
        "number_error": max(numbers),
        "mean_error": {camera: float(np.mean(found)) for camera, found in errors.items()},
        "worst_error": {camera: float(np.max(found)) for camera, found in errors.items()},
        "shown": shown,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

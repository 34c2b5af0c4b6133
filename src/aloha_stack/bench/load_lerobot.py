"""Samples a second of lerobot's own LeRobotDataset. Run by a Python that has lerobot:

    PYTHON load_lerobot.py DATASET CHUNK BATCH

It says "ready" and what it is once the first sample is decoded; then, for every line "HEIGHT WIDTH
WORKERS SECONDS" on its standard input, the rate. It imports nothing of the project.
"""

import sys
import time
from importlib.metadata import version


def main(root: str, chunk: int, batch: int) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from torch.utils.data import DataLoader
    from torchvision.transforms import v2

    def open_dataset(height: int, width: int) -> LeRobotDataset:
        plain = LeRobotDataset("bench/load", root=root)
        native = plain.meta.features[plain.meta.camera_keys[0]]["shape"][:2]
        resize = None if tuple(native) == (height, width) else v2.Resize((height, width))
        times = [step / plain.fps for step in range(chunk)]
        return LeRobotDataset(
            "bench/load", root=root, delta_timestamps={"action": times}, image_transforms=resize
        )

    first = open_dataset(240, 320)
    _ = first[0]
    print(f"ready lerobot {version('lerobot')} ({first.video_backend})", flush=True)
    for line in sys.stdin:
        height, width, workers, seconds = line.split()
        dataset = open_dataset(int(height), int(width))
        loader = DataLoader(dataset, batch, shuffle=True, num_workers=int(workers))
        count, began = 0, None
        while began is None or time.perf_counter() - began < float(seconds):
            for number, drawn in enumerate(loader):
                if began is None:
                    if number >= int(workers):
                        began = time.perf_counter()
                    continue
                count += len(drawn["index"])
                if time.perf_counter() - began > float(seconds):
                    break
        print(count / (time.perf_counter() - began), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

"""Steps of training of lerobot's own ACT. Run by a Python that has lerobot:

    PYTHON training_lerobot.py FOLDER THREADS

FOLDER holds config.json and model.safetensors, as for inference_lerobot.py, and batches.safetensors
(pictures (n, B, C, H, W, 3) uint8; state (n, B, S), action (n, B, T, A) normalised; is_pad
(n, B, T); mean and std (C, 3) of colours in 0 … 1). It says "ready" and what it is; "loss" gets
the mean absolute error of the first batch by the weights as they came; every other line, the number
of a batch, the seconds that a step took as lerobot's own training makes it: the loss and its
gradient in float32, clipping, AdamW. Its batches are already converted and normalised. It imports
nothing of the project but its neighbour.
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

CLIP = 10.0
"""Of the gradient's norm: lerobot's own."""


def main(folder: Path, threads: int) -> None:
    import torch
    from inference_lerobot import loaded
    from safetensors.torch import load_file

    torch.set_num_threads(threads)
    data = load_file(folder / "batches.safetensors")
    cameras = [f"observation.images.c{n}" for n in range(data["pictures"].shape[2])]
    size = tuple(data["pictures"].shape[3:5])
    policy = loaded(folder, cameras, size, data["state"].shape[2])
    batches = [batch_of(data, number, cameras) for number in range(len(data["state"]))]
    kept = ~batches[0]["action_is_pad"][..., None]
    apart = policy.predict_action_chunk(batches[0]) - batches[0]["action"]
    first = float((apart.abs() * kept).mean())
    settings = policy.config
    optimizer = torch.optim.AdamW(
        policy.get_optim_params(),
        lr=settings.optimizer_lr,
        weight_decay=settings.optimizer_weight_decay,
    )
    policy.train()
    print(f"ready lerobot {version('lerobot')}", flush=True)
    for line in sys.stdin:
        if line.strip() == "loss":
            print(first, flush=True)
            continue
        batch = batches[int(line) % len(batches)]
        began = time.perf_counter()
        loss, _ = policy.forward(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        print(time.perf_counter() - began, flush=True)


def batch_of(data: Any, number: int, cameras: list[str]) -> dict[str, Any]:
    """As lerobot's policy takes it."""
    images = data["pictures"][number].permute(1, 0, 4, 2, 3).float() / 255  # (C, B, 3, H, W)
    mean, std = (data[name][:, None, :, None, None] for name in ("mean", "std"))
    images = ((images - mean) / std).contiguous()
    return {
        **dict(zip(cameras, images, strict=True)),
        "observation.state": data["state"][number],
        "action": data["action"][number],
        "action_is_pad": data["is_pad"][number].bool(),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""Chunks of lerobot's own ACT. Run by a Python that has lerobot:

    PYTHON inference_lerobot.py FOLDER THREADS

FOLDER holds config.json (arguments of ACTConfig), model.safetensors (the policy's weights) and
observations.safetensors (pictures (n, C, H, W, 3) uint8, state (n, S) normalised, mean and std
(C, 3) of colours in 0 … 1). It writes actions.safetensors (n, T, A), normalised, says "ready" and
what it is, and then, for every line with the number of an observation, the seconds that a chunk
took: of the policy alone, its pictures already converted and normalised. It imports nothing of the
project.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

COMPUTED = {"model.vae_encoder_pos_enc"}
"""Constants among lerobot's weights."""


def loaded(folder: Path, cameras: list[str], size: tuple[int, ...], states: int) -> Any:
    """The policy of config.json and model.safetensors, for pictures of `size` (height, width)."""
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy
    from safetensors.torch import load_file

    settings = json.loads((folder / "config.json").read_text())
    visual = PolicyFeature(FeatureType.VISUAL, (3, *size))
    state = PolicyFeature(FeatureType.STATE, (states,))
    action = PolicyFeature(FeatureType.ACTION, (settings.pop("action_dim"),))
    config = ACTConfig(
        input_features={"observation.state": state, **dict.fromkeys(cameras, visual)},
        output_features={"action": action},
        pretrained_backbone_weights=None,
        n_action_steps=settings["chunk_size"],
        device="cpu",
        **settings,
    )
    policy = ACTPolicy(config).eval()
    missing, unknown = policy.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    if set(missing) - COMPUTED or unknown:
        raise SystemExit(f"weights missing: {missing}, unknown: {unknown}")
    return policy


def main(folder: Path, threads: int) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    torch.set_num_threads(threads)
    seen = load_file(folder / "observations.safetensors")
    cameras = [f"observation.images.c{n}" for n in range(seen["pictures"].shape[1])]
    size = tuple(seen["pictures"].shape[2:4])
    policy = loaded(folder, cameras, size, seen["state"].shape[1])
    batches = []
    for pictures, state_now in zip(seen["pictures"], seen["state"], strict=True):
        images = (pictures.permute(0, 3, 1, 2).float() / 255).contiguous()
        images = (images - seen["mean"][..., None, None]) / seen["std"][..., None, None]
        batch = {name: image[None] for name, image in zip(cameras, images, strict=True)}
        batches.append(batch | {"observation.state": state_now[None]})
    with torch.inference_mode():
        chunks = torch.stack([policy.predict_action_chunk(batch)[0] for batch in batches])
        save_file({"actions": chunks.contiguous()}, folder / "actions.safetensors")
        print(f"ready lerobot {version('lerobot')}", flush=True)
        for line in sys.stdin:
            batch = batches[int(line)]
            began = time.perf_counter()
            policy.predict_action_chunk(batch)
            print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

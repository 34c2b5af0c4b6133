"""One tick of recurrent policies: a camera's JPEG decoded, the network's step, a chunk."""

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aloha_stack.bench.footage import footage
from aloha_stack.bench.report import Bar, Row
from aloha_stack.episodes.scaled import decode_at
from aloha_stack.policies.checkpoint import load
from aloha_stack.policies.min_max import min_max
from aloha_stack.policies.policy import NAMES, Observation, PolicyError, PolicySpec
from aloha_stack.policies.recurrent import RecurrentNetwork
from aloha_stack.policies.recurrent_networks import config_of, without_start
from aloha_stack.policies.recurrent_policy import RecurrentPolicy, chunk_rows
from aloha_stack.progress import Progress
from aloha_stack.robot.joints import JOINTS

NATIVE = (480, 640)
RATE_HZ = 50.0
PICTURES = 16
WARM_UP = 20
TICKS_A_ROUND = 50
TICK_MS = Bar("value", "<=", 4.0)
MIXED = 0.8
"""An input_param at which a network that predicts pictures has to."""

RIGHT = NAMES[-len(JOINTS) :]
PUBLISHED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "each_layer_lstm": {
        "spatial softmax": {"image_size": (64, 64)},
        "spatial softmax, 128 px": {"image_size": (128, 128), "strides": (2, 2, 1)},
        "MLP": {"image_size": (64, 64), "encoder": "mlp", "strides": (2, 2, 2)},
    },
    "cnnrnn": {
        "CNNRNN": {},
        "CNNRNNLN": {"layer_norm": True},
        "CNNRNN, 64 px": {"image_size": (64, 64)},
    },
    "cae_rnn": {
        "BasicCAE": {},
        "BasicCAEBN": {"batch_norm": True},
        "CAE, 64 px": {"image_size": (64, 64), "size": "large"},
    },
    "sarnn": {"SARNN": {}},
}
"""Each policy's networks: as published, and as our recipes have them."""


def rows(
    policy: str, model: Path | None, input_param: float | None, rounds: int, progress: Progress
) -> list[Row]:
    """A tick of each network of `policy`, not trained, or of the checkpoint `model`; without an
    `input_param` with 1 and, where that makes a difference, with MIXED. Raises PolicyError."""
    cv2.setNumThreads(1)  # pictures are decoded on the one core, too
    subjects = _untrained(policy) if model is None else {model.name: _of_model(model, policy)}
    found = []
    with tempfile.TemporaryDirectory(prefix="aloha_bench_") as folder:
        jpegs = [one.read_bytes() for one in sorted(footage(Path(folder), PICTURES).iterdir())]
        for name, subject in subjects.items():
            progress.show(name)
            parts = [1.0] if input_param is None else [input_param]
            if input_param is None and subject.network.predicts_image:
                parts.append(MIXED)
            found += [_row(name, subject, jpegs, part, rounds) for part in parts]
    return found


def _row(
    name: str, policy: RecurrentPolicy, jpegs: Sequence[bytes], part: float, rounds: int
) -> Row:
    policy.adjust("input_param", str(part))
    took = ticks_ms(policy, jpegs, rounds * TICKS_A_ROUND)
    height, width = policy.spec.image_size or NATIVE
    count = sum(one.numel() for one in policy.network.parameters())
    return Row(
        f"{name} ({count / 1e6:.2f} M, 640×480 JPEG to {width}×{height}), input_param {part:g}: "
        "a tick",
        statistics.median(took),
        "ms",
        bar=TICK_MS if part == 1 else None,
    )


def ticks_ms(policy: RecurrentPolicy, jpegs: Sequence[bytes], ticks: int) -> list[float]:
    """What each tick of one long episode takes, from the JPEG's bytes to the chunk."""
    spec = policy.spec
    noise = np.random.default_rng(0)
    states = noise.uniform(0, 1, (PICTURES, len(spec.state_names))).astype(np.float32)
    policy.reset()
    took = []
    for tick in range(WARM_UP + ticks):
        stamp_ns = round(tick * 1e9 / spec.rate_hz)
        began = time.perf_counter()
        picture = decode_at("jpeg", jpegs[tick % len(jpegs)], spec.image_size, NATIVE)
        seen = Observation(states[tick % PICTURES], {spec.cameras[0]: picture}, stamp_ns)
        policy.act(seen)
        took.append(1e3 * (time.perf_counter() - began))
    return took[WARM_UP:]


def _of_model(folder: Path, name: str) -> RecurrentPolicy:
    policy = load(folder)
    if not isinstance(policy, RecurrentPolicy) or policy.spec.policy != name:
        raise PolicyError(f"{folder}: policy '{policy.spec.policy}', not {name}")
    return policy


def _untrained(policy: str) -> dict[str, RecurrentPolicy]:
    made = {}
    for name, sizes in PUBLISHED[policy].items():
        config = config_of(policy, sizes)
        network = without_start(policy, config)
        assert isinstance(network, RecurrentNetwork)
        bounds = {"minimum": [0.0] * len(RIGHT), "maximum": [1.0] * len(RIGHT)}
        spec = PolicySpec(
            policy,
            "twin",
            ("cam_high",),
            config.image_size,
            chunk_rows(RATE_HZ),
            "",
            RATE_HZ,
            stateful=True,
        )
        joints = min_max(bounds, RIGHT, config.value_range)
        made[f"{policy}, {name}"] = RecurrentPolicy(spec, network, joints)
    return made

"""The checkpoints of the project load, act, and say in their cards what they can do."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aloha_stack.policies.checkpoint import load
from aloha_stack.robot.share import share_folder
from aloha_stack.twin.tasks import TASKS
from policies.policy_conformance import seen

MODELS = sorted((share_folder() / "models").iterdir(), key=lambda folder: folder.name)


@pytest.mark.parametrize("folder", MODELS, ids=[folder.name for folder in MODELS])
def test_a_shipped_model_acts_on_what_it_was_made_for(folder: Path) -> None:
    policy = load(folder)
    assert policy.spec.task in TASKS
    assert folder.name.endswith(policy.spec.task)
    policy.reset()
    at_rest = replace(seen(policy), state=np.zeros(len(policy.spec.state_names), np.float32))
    chunk = policy.act(at_rest)
    assert chunk.shape == (policy.spec.chunk, 14)
    assert np.isfinite(chunk).all()


@pytest.mark.parametrize("folder", MODELS, ids=[folder.name for folder in MODELS])
def test_its_card_tells_successes_out_of_attempts_and_how_it_was_made(folder: Path) -> None:
    card = (folder / "CARD.md").read_text()
    assert re.search(r"\d+ of \d+", card)
    assert "./aloha evaluate" in card
    assert f"--out models/{folder.name}" in card
    assert "SHA-256" in card

"""The bench of VINN's memory: a question beside a pass over it, and the right neighbours."""

import json
from pathlib import Path

import pytest
import torch

from aloha_stack.bench import vinn
from aloha_stack.policies import vinn_search


def test_a_question_is_measured_beside_a_pass_and_its_neighbours_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vinn_search, "SMALL_BYTES", 0)  # as an index of the bench's own size
    file, threads = tmp_path / "figures.json", torch.get_num_threads()
    try:
        vinn.main(["--rows", "900", "--dims", "16", "--rounds", "3", "--json", str(file)])
    finally:
        torch.set_num_threads(threads)
    question, itself, same = json.loads(file.read_text())["rows"]
    assert question["bar"] == "ratio <= 1.5"
    assert question["peer_value"] > 0
    assert itself["bar"] == "value <= 20"
    assert same["value"] == 1.0
    assert "900 steps x 16, float16" in question["metric"]

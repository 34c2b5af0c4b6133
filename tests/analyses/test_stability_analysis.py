"""`./aloha analyse stability`: certifies what is stable, finds and names what is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aloha_stack.analyses import __main__ as analyses
from aloha_stack.policies import certifying, stability
from aloha_stack.policies.checkpoint import load
from aloha_stack.policies.stability import Effort, Region, examine
from aloha_stack.policies.stable_dynamics import StableDynamics
from policies.small_snds import saved

REGION = Region(np.array([-1.0, -0.5]), np.array([0.2, 0.5]), 0.02)
QUICK = Effort(samples=500, climbers=32, climbs=10, steps=100, starts=5)


def test_a_policy_is_certified_with_a_picture_and_then_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert certifying.certify  # loaded before the word Effort means less
    monkeypatch.setattr(
        "aloha_stack.policies.stability.Effort", lambda **given: replace(QUICK, **given)
    )
    folder = saved(tmp_path / "model")
    assert (
        analyses.main(["stability", str(folder), "--samples", "300", "--out", str(tmp_path)]) == 0
    )
    assert (tmp_path / "stability.png").stat().st_size > 1000
    load(folder)


def test_a_folder_without_a_policy_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert analyses.main(["stability", str(tmp_path)]) == 1
    assert "config.json" in capsys.readouterr().err


def made() -> StableDynamics:
    torch.manual_seed(0)
    return StableDynamics(2, (16,), (8,))


def test_a_stable_flow_has_no_violation() -> None:
    found = examine(made(), REGION, QUICK)
    assert found.holds
    assert found.violations == 0


class Unprojected(StableDynamics):
    def forward(self, x: Tensor) -> Tensor:
        return self.nominal(x)  # type: ignore[no-any-return]


class Spot(StableDynamics):
    """Stable but in a spot that is a thousandth of the box: chance does not find it."""

    def forward(self, x: Tensor) -> Tensor:
        middle = torch.tensor([-1.0, 0.4], dtype=x.dtype)
        away = (x - middle).square().sum(1, keepdim=True)
        return super().forward(x) + 3 * torch.exp(-away / 0.02) * x


class PlainEuler(StableDynamics):
    def step(self, x: Tensor, time: float, limit: object = None) -> Tensor:
        return x + 4000 * time * self(x)


@pytest.mark.parametrize("broken", [Unprojected, Spot, PlainEuler])
def test_what_is_not_stable_is_found(broken: type[StableDynamics]) -> None:
    torch.manual_seed(0)
    flow = broken(2, (16,), (8,))
    found = examine(flow, REGION, QUICK)
    assert not found.holds
    if broken is PlainEuler:
        assert found.steps_not_falling > 0
    else:
        assert found.climbed_not_falling > 0
    assert found.moves_at_goal == (broken is Unprojected)


def test_weights_that_are_no_numbers_are_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = made()
    next(flow.lyapunov.parameters()).data[0, 0] = torch.nan
    monkeypatch.setattr(stability, "DURATIONS", 0.1)
    assert examine(flow, REGION, QUICK).violations > 0

"""How fast the world may go."""

import pytest

from aloha_stack.twin.pacing import MAX_DEBT_S, WorldPacer


class Wall:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def run(pacer: WorldPacer, wall: Wall, steps: int, cost_s: float, model_s: float = 0.0) -> float:
    """Steps of 2 ms, each of which costs `cost_s` of wall time; the model time reached."""
    for _ in range(steps):
        wall.now_s += pacer.wait_s(model_s)
        wall.now_s += cost_s
        model_s += 0.002
        pacer.record(model_s)
    return model_s


@pytest.mark.parametrize("speed", [0.2, 1.0, 5.0])
def test_a_light_world_runs_at_the_speed_that_was_asked_for(speed):
    wall = Wall()
    pacer = WorldPacer(speed, wall)
    run(pacer, wall, 5000, cost_s=1e-5)
    assert pacer.real_time_factor() == pytest.approx(speed, rel=0.02)


def test_a_heavy_world_runs_as_fast_as_it_can_and_says_so():
    wall = Wall()
    pacer = WorldPacer(1.0, wall)
    run(pacer, wall, 2000, cost_s=0.01)
    assert pacer.real_time_factor() == pytest.approx(0.2, rel=0.02)


def test_after_a_long_delay_the_world_does_not_race_to_catch_up():
    wall = Wall()
    pacer = WorldPacer(1.0, wall)
    model_s = run(pacer, wall, 100, cost_s=0.0)
    wall.now_s += 5.0
    before_s = wall.now_s
    reached_s = run(pacer, wall, 1000, cost_s=0.0, model_s=model_s)
    assert reached_s - model_s <= wall.now_s - before_s + MAX_DEBT_S + 0.002 + 1e-6


def test_a_speed_that_is_no_speed_is_refused():
    with pytest.raises(ValueError, match=r"speed must lie in"):
        WorldPacer(0.0)

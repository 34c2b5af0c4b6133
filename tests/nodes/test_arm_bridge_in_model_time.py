"""The bridge on /clock: it counts model time, however slowly that runs, or not at all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes import arm_bridge
from nodes.arm_rig import ModelTime, Rig, rig, spinning, wait_for


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Rig, ModelTime]]:
    """A bridge in a world that runs at half the speed of the wall."""
    with rig(tmp_path, use_sim_time=True) as made:
        world = ModelTime(0.5)
        made.operator.now_ns = lambda: world.now_ns
        with spinning(world):
            try:
                wait_for(lambda: made.bridge.time.now_ns() > 0)
                made.start()
                yield made, world
                made.bridge.close()
            finally:
                world.close()
        world.destroy_node()


def test_it_waits_for_the_clock_by_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with rig(tmp_path, use_sim_time=True) as made:
        assert not made.bridge.transition("configure")
        assert "waiting for /clock" in capfd.readouterr().err


def test_cycles_stamps_and_parking_count_model_time(slow: tuple[Rig, ModelTime]) -> None:
    made, world = slow
    made.follow()
    first = made.operator.status[-1]
    began_ns = world.now_ns
    wait_for(lambda: world.now_ns > began_ns + 1_000_000_000)
    wait_for(lambda: made.operator.status[-1].header.stamp.sec > first.header.stamp.sec)
    last = made.operator.status[-1]
    elapsed = last.header.stamp.sec - first.header.stamp.sec
    elapsed += (last.header.stamp.nanosec - first.header.stamp.nanosec) * 1e-9
    done = last.cycles - first.cycles
    assert done <= elapsed * 100 + 2  # never faster than model time
    assert done > 20
    stamp = made.operator.states[-1].header.stamp
    assert stamp.sec * 10**9 + stamp.nanosec <= world.now_ns
    assert made.bridge.transition("deactivate")
    np.testing.assert_allclose(made.servos.position, made.arm.rest_pose, atol=0.003)


def test_an_e_stop_is_acknowledged_while_the_clock_stands_still(
    slow: tuple[Rig, ModelTime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm_bridge, "CLOCK_GONE_S", 0.3)
    made, world = slow
    world.factor = 0
    made.operator.e_stopped = True
    made.wait_mode(Mode.E_STOPPED)
    made.operator.e_stopped = False
    made.wait_mode(Mode.HOLDING)
    reports = len(made.operator.status)
    wait_for(lambda: len(made.operator.status) > reports)  # it still shows that it lives
    # Parking cannot go on either: it gives up, and does not drop the arm.
    assert made.bridge.transition("deactivate")
    assert made.servos.goals()[1].all()


def test_a_clock_that_stands_still_is_told_and_old_commands_are_forgotten(
    slow: tuple[Rig, ModelTime],
) -> None:
    made, world = slow
    made.follow()
    made.operator.target = None
    world.factor = 0
    made.wait_mode(Mode.HOLDING, "/clock stands still")
    world.factor = 0.5
    made.wait_mode(Mode.HOLDING, "waiting for commands")
    made.follow()


def test_a_world_that_is_set_back_in_time_forgets_old_commands(
    slow: tuple[Rig, ModelTime],
) -> None:
    made, world = slow
    wait_for(lambda: world.now_ns > 1_500_000_000)
    made.follow()
    made.operator.target = None
    world.now_ns = 0
    made.wait_mode(Mode.HOLDING, "waiting for commands")
    made.follow()

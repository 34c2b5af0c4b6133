"""The twin without ROS: for whom its world waits, and what befalls its arms."""

import math
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from aloha_stack.dynamixel.packets import BROADCAST, PING, SYNC_READ, WRITE, instruction
from aloha_stack.robot.description import load_robot
from aloha_stack.twin import simulation as simulation_module
from aloha_stack.twin.faults import Fault, FaultError
from aloha_stack.twin.pacing import USER_LEAD_S
from aloha_stack.twin.pick_place import PickPlace
from aloha_stack.twin.simulation import Simulation
from aloha_stack.twin.snapshots import SnapshotReader
from aloha_stack.twin.virtual_port import wait_for_bytes

STATES = instruction(BROADCAST, SYNC_READ, b"\x7e\x00\x0a\x00" + bytes((1, 2, 4, 6, 7, 8, 9)))
BURST = 7 * 21
SPINS = 60
"""More than a world that does not wait needs for USER_LEAD_S; a world that waits sleeps in each."""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    """It waits for ever, so that no load of the machine changes what a test sees."""
    folder = tmp_path_factory.mktemp("ports")
    robot = load_robot("twin", {"ALOHA_PORTS": str(folder)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation_module, "PATIENCE_S", math.inf)
        twin = Simulation(robot, "transfer_cube", 0, hands=False, speed=10.0)
        yield twin
        twin.close()


def test_its_cameras_are_told_how_its_world_looks(tmp_path: Path) -> None:
    robot = load_robot("twin", {"ALOHA_PORTS": str(tmp_path)})
    twin = Simulation(robot, "pick_place", 4, hands=False, variation="D,light")
    reader = SnapshotReader(tmp_path / "world", "test")
    while (snapshot := reader.next(0.0)) is None:
        twin.spin_once()
    twin.close()
    reader.close()
    assert (reader.task, reader.looks, snapshot.seed) == ("pick_place", ("light",), 4)
    assert snapshot.qpos[16] == pytest.approx(PickPlace().position("D", 4).x_m, abs=1e-4)


@pytest.fixture
def port(twin: Simulation) -> Iterator[int]:
    """The port of the left follower, open; all is well when it closes."""
    path = twin.robot.arm("follower_left").port
    port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    yield port
    os.close(port)
    twin.clear_faults()
    for _ in range(5):
        twin.spin_once()


def ask(twin: Simulation, port: int) -> float:
    """Sends a request; returns the model time at which the twin has heard it."""
    send(twin, "follower_left", port, STATES)
    before = twin.world.time_s
    twin.spin_once()
    return before


def send(twin: Simulation, arm: str, port: int, request: bytes) -> None:
    """Returns once the bytes have come through the pseudo-terminal."""
    os.write(port, request)
    wait_for_bytes([twin._ports[arm]], 2.0)


def go_on(twin: Simulation, since_s: float) -> float:
    """How far the world comes in a while, in model time."""
    for _ in range(SPINS):
        twin.spin_once()
    return twin.world.time_s - since_s


def heard(port: int, size: int = 0) -> bytes:
    """What there is to read: waits for `size` bytes."""
    reply = b""
    while select.select([port], [], [], 2.0 if len(reply) < size else 0.0)[0]:
        reply += os.read(port, 4096)
    return reply


def test_the_world_waits_for_the_next_cycle_of_a_port_that_was_answered(twin, port):
    began_s = ask(twin, port)
    assert len(heard(port, BURST)) == BURST
    assert go_on(twin, began_s) <= USER_LEAD_S + 0.005
    assert heard(port) == b""
    assert go_on(twin, ask(twin, port)) <= USER_LEAD_S + 0.005


def test_the_world_goes_on_while_a_slow_answer_is_on_its_way(twin, port):
    twin.inject("follower_left", Fault("slow_bus", strength=40))
    twin.spin_once()
    began_s = ask(twin, port)
    reply = b""
    while len(reply) < BURST:
        before_s = twin.world.time_s
        assert before_s - began_s < 0.2
        assert go_on(twin, before_s) > 0.0
        reply += heard(port)
    assert twin.world.time_s - began_s > (len(STATES) + BURST) * 40e-5


def test_the_world_goes_on_while_a_user_waits_for_an_answer_that_is_lost(twin, port):
    twin.inject("follower_left", Fault("lost_reply", 7))
    began_s = ask(twin, port)
    assert len(heard(port, BURST - 21)) == BURST - 21
    assert go_on(twin, began_s) > 2 * USER_LEAD_S
    assert go_on(twin, ask(twin, port)) <= USER_LEAD_S + 0.005


def test_after_a_slow_answer_its_user_gets_the_time_of_a_cycle(twin, port):
    twin.inject("follower_left", Fault("slow_bus", strength=5))
    twin.spin_once()
    began_s = ask(twin, port)
    for _ in range(10):
        twin.spin_once()
    assert go_on(twin, began_s) <= (len(STATES) + BURST) * 5e-5 + USER_LEAD_S + 0.006


def test_a_servo_that_restarts_lets_its_joint_sag(twin, port):
    arm = twin.arms["follower_left"]
    send(twin, "follower_left", port, instruction(BROADCAST, WRITE, b"\x40\x00\x01"))
    twin.spin_once()
    assert arm.goals()[1].all()
    twin.inject("follower_left", Fault("servo_reboot", 7))
    twin.spin_once()
    assert arm.goals()[1].tolist() == [True, True, True, True, False, True, True]


def test_an_unplugged_arm_is_nobodys_and_comes_back(twin):
    path = Path(twin.robot.arm("follower_right").port)
    port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    assert twin.ports_in_use == ["follower_right"]
    twin.inject("follower_right", Fault("unplugged", duration_s=0.05))
    twin.spin_once()
    assert not path.is_symlink()
    assert twin.ports_in_use == []
    os.close(port)
    began_s = twin.world.time_s
    while twin.world.time_s < began_s + 0.06:
        twin.spin_once()
    port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    send(twin, "follower_right", port, instruction(1, PING))
    twin.spin_once()
    assert heard(port, 14)
    os.close(port)


def test_an_arm_that_does_not_exist_is_named_with_those_that_do(twin):
    with pytest.raises(FaultError, match=r"no arm 'middle'; it has .*follower_left"):
        twin.inject("middle", Fault("brown_out"))

"""The two hosts of the bus bench do the same work on the same line."""

import time
from pathlib import Path

import numpy as np
import pytest

from aloha_stack.bench.emulator import bench_robot
from aloha_stack.bench.hosts import HOSTS, Work, prepare, working
from aloha_stack.bench.paced import EMPTY, Task, run_loop
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import JOINTS
from aloha_stack.twin.virtual_bench import BenchArm
from aloha_stack.twin.virtual_port import VirtualPort, serving
from dynamixel.bus_conformance import eventually

TRIES = 50
"""A loaded machine may let an answer come too late for the stock port."""


@pytest.fixture
def line(tmp_path: Path):
    """An arm with torque, and its servos."""
    arm = bench_robot(tmp_path).arm("follower_left")
    virtual = BenchArm(arm)
    with serving([VirtualPort(tmp_path, Path(arm.port).name, virtual)]):
        prepare(arm)
        virtual.written_goals.clear()
        yield arm, virtual


def cycle_until_complete(work: Work) -> None:
    assert any(work.cycle() for _ in range(TRIES))


@pytest.mark.parametrize("kind", HOSTS)
def test_a_host_reads_all_seven_and_writes_whole_goals(line: tuple[Arm, BenchArm], kind) -> None:
    arm, virtual = line
    with working(arm, kind) as work:
        cycle_until_complete(work)
        assert 1 <= work.load.complete <= work.load.cycles == len(work.load.durations_s)
    assert eventually(lambda: len(virtual.written_goals) >= len(JOINTS) * work.load.cycles)
    goals = list(virtual.written_goals)
    assert len(goals) == len(JOINTS) * work.load.cycles
    assert {servo for _, servo, _ in goals} == {servo.id for servo in arm.addressed}


def test_both_hosts_put_the_same_goals_on_the_wire(line: tuple[Arm, BenchArm]) -> None:
    arm, virtual = line
    wanted = arm.start_pose + np.linspace(-0.1, 0.1, len(JOINTS))
    written = []
    for make in HOSTS.values():
        host = make(arm)
        host.write(wanted)
        assert eventually(lambda: len(virtual.written_goals) >= len(JOINTS))
        host.close()
        written.append([goal[1:] for goal in virtual.written_goals.copy()])
        virtual.written_goals.clear()
    assert written[0] == written[1] != []


def test_a_paced_loop_counts_every_slot(line: tuple[Arm, BenchArm]) -> None:
    arm, _ = line
    folder = Path(arm.port).parent
    for kind in (EMPTY, "aloha"):
        count = run_loop(Task(kind, arm.name, folder, 100.0, 0.2, time.monotonic() + 0.1))
        assert (count.kind, count.slots) == (kind, 20)
        assert 0 <= count.missed <= 20


def test_a_loop_whose_servos_are_silent_misses_every_slot(line: tuple[Arm, BenchArm]) -> None:
    arm, virtual = line
    virtual.servos[9].silent = True
    task = Task("aloha", arm.name, Path(arm.port).parent, 100.0, 0.2, time.monotonic() + 0.1)
    assert run_loop(task).missed == 20

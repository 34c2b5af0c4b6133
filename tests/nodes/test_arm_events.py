"""Whatever befalls an arm, and in whatever order: only goals that may be written are written."""

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aloha_stack.control.arm_controller import ArmController
from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.commands import Command, CommandError
from aloha_stack.dynamixel.errors import BusError
from aloha_stack.nodes._arm_driver import ArmDriver
from aloha_stack.nodes._arm_hold import REST_RAD
from aloha_stack.nodes._arm_services import ArmServices
from aloha_stack.nodes._jobs import Refused
from aloha_stack.robot.joints import ARM_JOINTS
from control.arms import arm
from nodes.memory_bus import MemoryBus

PERIOD_S = 0.01
IDS = st.sampled_from([servo.id for servo in arm().servos])
ANGLES = st.lists(st.floats(-4, 4), min_size=7, max_size=7).map(np.array)
FOUND_AFTER = 30
"""Cycles until the last fault is found: the looks take turns, and need four to know all anew."""


class ArmEvents(RuleBasedStateMachine):
    """A driver on a bus in memory, time that is made here, and a log of every goal."""

    def __init__(self) -> None:
        super().__init__()
        self.bus = MemoryBus(arm())
        self.control = ArmController(self.bus.arm)
        self.driver = ArmDriver(self.bus, self.control)
        self.services = ArmServices(self.driver)
        self.now_s = self.steady_s = 100.0
        self.beating = True
        self.e_stopped = False
        self.stream: np.ndarray | None = None
        self.last_beat_s = 0.0
        self.lasting: dict[tuple[str, int], int] = {}
        self.driver.connect()

    # -- time ---------------------------------------------------------------------------------

    @initialize(adopt=st.booleans())
    def begin(self, adopt: bool) -> None:
        self.ask(self.driver.adopt if adopt else self.driver.activate)
        self.cycles(3)

    @rule(number=st.integers(1, 40), period_s=st.sampled_from([0.01, 0.01, 0.01, 0.022, 0.011]))
    def cycles(self, number: int, period_s: float = PERIOD_S) -> None:
        for _ in range(number):
            self.now_s += period_s
            self.steady_s += period_s
            if self.beating:
                self.control.heartbeat(self.e_stopped, "test", self.steady_s)
                self.last_beat_s = self.steady_s
            if self.stream is not None:
                self.offer(Command(self.now_s, (0.0,), self.stream[None]))
            self.one_cycle()

    def one_cycle(self) -> None:
        written = self.number_written
        self.bus.round_trip_s = 0.9 * PERIOD_S
        self.driver.look_for_port(self.steady_s)
        if self.control.fault:
            return
        held = self.driver.held
        try:
            cycle = self.driver.cycle(self.now_s, self.steady_s)
        except BusError as error:
            self.driver.lose(error, self.steady_s)
            return
        if cycle.state is not None:
            np.testing.assert_array_equal(cycle.state.position, self.bus.position)
        assert held or self.number_written == written
        self.note_what_lasts()
        if self.control.mode in (Mode.RAMPING, Mode.FOLLOWING):
            self.must_be_well()
        self.bus.settle()

    @property
    def number_written(self) -> int:
        return sum(len(grip.goals) for grip in self.bus.grips)

    def must_be_well(self) -> None:
        """Whatever keeps an arm from moving has not lasted for longer than it takes to find it."""
        assert self.beating or self.steady_s - self.last_beat_s <= 0.5
        assert not self.e_stopped
        assert max(self.lasting.values(), default=0) <= FOUND_AFTER, self.lasting

    def note_what_lasts(self) -> None:
        """For how many cycles each servo has been as it should not be."""
        bus = self.bus
        wrong = {("silent", i) for i in bus.silent | bus.damaged}
        wrong |= {("limp", i) for i, on in bus.on.items() if not on}
        wrong |= {("tripped", i) for i in bus.tripped} | {("broken", i) for i in bus.broken}
        self.lasting = {what: self.lasting.get(what, 0) + 1 for what in wrong}

    # -- what is asked for --------------------------------------------------------------------

    @rule(where=ANGLES)
    def stream_of_targets(self, where: np.ndarray) -> None:
        self.stream = where

    @rule()
    def end_the_stream(self) -> None:
        self.stream = None

    @rule(points=st.lists(ANGLES, min_size=1, max_size=4), ahead_s=st.floats(-0.2, 0.5))
    def trajectory(self, points: list[np.ndarray], ahead_s: float) -> None:
        times = tuple(0.3 * (k + 1) for k in range(len(points)))
        self.offer(Command(self.now_s + ahead_s, times, np.array(points)))

    @rule()
    def nonsense(self) -> None:
        self.offer(CommandError("point 0 has 6 positions"))

    def offer(self, command: Command | CommandError) -> None:
        self.control.offer(command, self.now_s)

    @rule(on=st.booleans())
    def torque(self, on: bool) -> None:
        self.ask(lambda: self.services.set_torque(on, self.steady_s))

    @rule()
    def reboot(self) -> None:
        self.ask(self.services.reboot)

    @rule()
    def adopt(self) -> None:
        self.ask(self.driver.adopt)

    @rule()
    def park(self) -> None:
        self.control.begin_parking()
        self.cycles(5)

    @precondition(lambda self: self.control.parked)
    @rule()
    def release(self) -> None:
        away = np.abs(self.bus.position - self.bus.arm.rest_pose)[: len(ARM_JOINTS)].max()
        before, held = dict(self.bus.on), self.driver.held
        self.ask(self.driver.release)
        assert not self.driver.held
        if held and away > REST_RAD:
            assert self.bus.on == before
            assert self.control.left or self.control.fault

    def ask(self, job: Callable[[], object]) -> None:
        if self.control.fault and job != self.driver.adopt:
            return
        with contextlib.suppress(BusError, Refused):
            job()

    # -- what befalls it ----------------------------------------------------------------------

    @rule(beating=st.booleans())
    def heartbeat(self, beating: bool) -> None:
        self.beating = beating

    @rule(stopped=st.booleans())
    def e_stop(self, stopped: bool) -> None:
        self.e_stopped = stopped

    @rule()
    def own_e_stop(self) -> None:
        self.control.e_stop("own")

    @rule(servo_id=IDS, number=st.integers(1, 30), damaged=st.booleans())
    def silence(self, servo_id: int, number: int, damaged: bool) -> None:
        (self.bus.damaged if damaged else self.bus.silent).add(servo_id)
        self.cycles(number)

    @rule()
    def all_answer(self) -> None:
        self.bus.silent.clear()
        self.bus.damaged.clear()

    @rule(servo_id=IDS)
    def error(self, servo_id: int) -> None:
        self.bus.fail(servo_id)

    @rule(servo_id=IDS)
    def restart(self, servo_id: int) -> None:
        self.bus.restart(servo_id)

    @rule(servo_id=IDS)
    def trip(self, servo_id: int) -> None:
        self.bus.tripped.add(servo_id)

    @rule(stubborn=st.booleans())
    def stubborn(self, stubborn: bool) -> None:
        self.bus.stubborn = stubborn

    @rule(there=st.booleans())
    def plug(self, there: bool) -> None:
        self.bus.unplugged = not there
        self.cycles(2)

    @rule(pause_s=st.floats(0.05, 2.0))
    def pause(self, pause_s: float) -> None:
        self.now_s += pause_s
        self.steady_s += pause_s
        self.cycles(2)

    @rule()
    def clock_set_back(self) -> None:
        self.now_s -= 50.0
        self.driver.clock_jumped()
        self.cycles(2)

    # -- what must hold -----------------------------------------------------------------------

    @invariant()
    def goals_obey_every_limit(self) -> None:
        limits = self.bus.arm.limits
        for grip in self.bus.grips[-3:]:
            if not grip.goals:
                continue
            # At rest before the first.
            goals = np.array([grip.goals[0]] * 3 + grip.goals)
            low = np.minimum(limits.soft_lower, goals[0]) - 1e-9
            high = np.maximum(limits.soft_upper, goals[0]) + 1e-9
            assert ((goals >= low) & (goals <= high)).all()
            for order, most in ((1, limits.velocity), (2, limits.acceleration), (3, limits.jerk)):
                steps = np.abs(np.diff(goals, order, axis=0))
                assert (steps <= most * PERIOD_S**order * 1.001 + 1e-9).all(), order

    @invariant()
    def a_new_grip_moves_no_joint(self) -> None:
        """It takes each joint where it is, or where it was told to be and still holds on."""
        for grip in self.bus.grips[-3:]:
            if grip.goals:
                here = grip.goals[0] == grip.position
                as_before = grip.firm & (grip.goals[0] == grip.before)
                assert (here | as_before).all()

    @invariant()
    def no_joint_jumps_as_it_gets_torque(self) -> None:
        assert max(self.bus.jumps, default=0.0) == 0.0

    @invariant()
    def what_it_says_of_torque_is_so(self) -> None:
        if self.control.fault:
            assert not self.control.active
            assert not self.control.torque


TestArmEvents = pytest.mark.filterwarnings("ignore")(ArmEvents.TestCase)
ArmEvents.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, derandomize=True
)

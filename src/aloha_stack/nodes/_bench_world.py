"""The twin's world with a tape running: what crosses the wire and what the joints do."""

import threading
from collections.abc import Callable
from functools import partial

import numpy as np

from aloha_stack.bench.fault_tape import Goal, Point, State, Tape, lag_of
from aloha_stack.dynamixel.units import RAD_PER_TICK
from aloha_stack.nodes._jobs import Jobs
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import JOINTS
from aloha_stack.twin.faults import Fault
from aloha_stack.twin.servo import VirtualServo
from aloha_stack.twin.simulation import Simulation
from aloha_stack.twin.virtual_arm import VirtualArm

CLOCK_NS = 5_000_000
COMMAND_NS = 20_000_000
STATE_NS = 4_000_000
"""Model time between two /clock messages, two commands, two states on the tape."""

SWING_RAD, SWING_S = 0.2, (5.0, 6.1, 7.3, 4.6, 5.7, 6.7, 8.1)
"""All joints swing about the start pose by so much, each in its own time."""

ANSWER_S = 10.0


def swing(centre: np.ndarray, time_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Position (7,) rad and velocity (7,) rad/s at model time `time_s`."""
    rate = 2 * np.pi / np.array(SWING_S)
    return (
        centre + SWING_RAD * np.sin(rate * time_s),
        SWING_RAD * rate * np.cos(rate * time_s),
    )


class Hands:
    """Moves the leaders, in place of the twin's operator, who would wait for teleoperation."""

    state = "done"
    ready = False

    def __init__(self, robot: Robot) -> None:
        self._leaders = {arm.name: arm.start_pose for arm in robot.leaders}

    def update(
        self, time_s: float, engaged: bool | None = None
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Where they are at `time_s`, as the operator tells it."""
        return {name: swing(centre, time_s) for name, centre in self._leaders.items()}


class BenchWorld:
    """The simulation of `robot`, for one thread that calls live(), with a tape of each arm.

    `publish_clock(time_ns)` and `command(arm, target, time_ns)` are called from that thread; the
    followers are commanded from the beginning.
    """

    def __init__(
        self,
        robot: Robot,
        publish_clock: Callable[[int], None],
        command: Callable[[str, np.ndarray, int], None],
    ) -> None:
        self._robot, self._publish_clock, self._command = robot, publish_clock, command
        self._simulation = Simulation(robot, "transfer_cube", 0, hands=False)
        self._simulation.operator = Hands(robot)  # type: ignore[assignment]
        self._joints = {name: _joints(arm) for name, arm in self._simulation.arms.items()}
        self._jobs = Jobs("the world has not begun")
        self._leave = threading.Event()
        self._next_clock_ns = self._next_command_ns = self._next_state_ns = 0
        self.now_s = 0.0
        """Model time."""
        self.tapes: dict[str, Tape] = {}
        self._lag = {name: np.zeros(len(JOINTS)) for name in robot.arms}
        self._start_tapes()
        for name, virtual_arm in self._simulation.arms.items():
            virtual_arm.on_goal = partial(self._note_goal, name)

    # -- from other threads -----------------------------------------------------------------

    def new_tapes(self) -> None:
        """The record begins anew."""
        self._jobs.ask(self._start_tapes, ANSWER_S)

    def learn_lag(self) -> None:
        """What the tapes hold is how far joints are from their goals while all is well."""
        self._lag = {name: lag_of(tuple(tape.goals)) for name, tape in self.tapes.items()}

    def inject(self, arm: str, fault: Fault) -> float:
        """Strikes at once; returns when that was, in model time."""

        def strike() -> float:
            self._simulation.inject(arm, fault)
            return self._simulation.world.time_s

        return float(self._jobs.ask(strike, ANSWER_S))

    def clear_faults(self) -> None:
        """Ends what lasts."""
        self._simulation.clear_faults()

    def violations(self, arm: str) -> tuple[str, ...]:
        """The goals since the tapes began that nobody may send, in words."""
        found = self._simulation.arms[arm].violations
        return tuple(f"servo {servo}: {words}" for _, servo, words in tuple(found))

    def limp(self, arm: str) -> tuple[int, ...]:
        """The servos of a follower that have no torque; a leader is meant to have none."""
        if self._robot.arm(arm).is_leader:
            return ()
        servos = self._simulation.arms[arm].servos
        return tuple(servo_id for servo_id, servo in servos.items() if not servo.torque)

    @property
    def in_use(self) -> bool:
        """Whether any port is open."""
        return bool(self._jobs.ask(lambda: self._simulation.ports_in_use, ANSWER_S))

    def end(self) -> None:
        """Makes live() return."""
        self._leave.set()

    # -- in the world's thread --------------------------------------------------------------

    def live(self) -> None:
        """Time goes on until end()."""
        self._jobs.open()
        try:
            while not self._leave.is_set():
                if self._simulation.spin_once():
                    self._after_step()
                self._jobs.serve()
        finally:
            self._jobs.close("the world has ended")
            self._simulation.close()

    def _after_step(self) -> None:
        now_ns = self._simulation.world.time_ns
        self.now_s = now_ns * 1e-9
        if now_ns >= self._next_clock_ns:
            self._next_clock_ns += CLOCK_NS
            self._publish_clock(now_ns)
        if now_ns >= self._next_command_ns:
            self._next_command_ns += COMMAND_NS
            for arm in self._robot.followers:
                target, _ = swing(arm.start_pose, self.now_s)
                self.tapes[arm.name].commands.append(Point(self.now_s, target))
                self._command(arm.name, target, now_ns)
        if now_ns >= self._next_state_ns:
            self._next_state_ns += STATE_NS
            for name in self._robot.arms:
                self._record(name)

    def _record(self, name: str) -> None:
        tape, virtual = self.tapes[name], self._simulation.arms[name]
        _, torque = virtual.goals()
        tape.states.append(State(self.now_s, self._truth(name), torque))

    def _note_goal(self, name: str, servo_id: int, ticks: int) -> None:
        """A goal on its way to a servo, before it obeys. Who is no joint's is a violation."""
        if servo_id not in self._joints[name]:
            return
        joint, servos = self._joints[name][servo_id]
        servo, torque = servos[0], any(each.torque for each in servos)
        position, stands = (
            servo.direction * (each - servo.zero_ticks) * RAD_PER_TICK
            for each in (ticks, servo.present_ticks)
        )
        goal = Goal(self._simulation.world.time_s, joint, position, torque, stands)
        self.tapes[name].goals.append(goal)

    def _truth(self, name: str) -> np.ndarray:
        """Where the joints are: in the physics, or in the hand that holds them."""
        arm = self._robot.arm(name)
        if not arm.is_leader:
            return self._simulation.world.state(name)[0]
        held, _ = swing(arm.start_pose, self.now_s)
        return np.clip(held, arm.limits.lower, arm.limits.upper)

    def _start_tapes(self) -> None:
        for name, virtual in self._simulation.arms.items():
            virtual.violations.clear()
            self.tapes[name] = Tape(self._robot.arm(name).limits.velocity, self._lag[name])


def _joints(virtual: VirtualArm) -> dict[int, tuple[int, list[VirtualServo]]]:
    """By addressed ID: the index of its joint, and that joint's servos, itself first."""
    arm = virtual.arm
    return {
        master.id: (
            JOINTS.index(master.joint),
            [virtual.servos[s.id] for s in arm.servos if master.id in (s.id, s.shadow_of)],
        )
        for master in arm.addressed
    }

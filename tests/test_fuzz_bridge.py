"""Whatever comes in from ROS or from the wire, only goals that may be there reach the servos.

Messages and bytes go through the real path: JointTrajectory -> read_command -> ArmController ->
ArmDriver -> DynamixelBus -> a pseudo-terminal -> nine virtual servos, which keep all goals as they
come over the wire. No ROS graph is needed. The examples are the same in every run, and no thread
has to be in time: the servos answer while the host still writes.
"""

import contextlib
import select
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from aloha_stack.control.arm_controller import ArmController
from aloha_stack.control.arm_modes import Mode
from aloha_stack.dynamixel import packets
from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.dynamixel.errors import BusError
from aloha_stack.dynamixel.port import PollingPort
from aloha_stack.dynamixel.units import RAD_PER_TICK
from aloha_stack.nodes._arm_driver import ArmDriver, Cycle
from aloha_stack.nodes._arm_services import ArmServices
from aloha_stack.nodes._conversions import read_command, set_stamp, target_message
from aloha_stack.nodes._jobs import Refused
from aloha_stack.robot.joints import JOINTS
from aloha_stack.twin.virtual_bench import BenchArm
from aloha_stack.twin.virtual_port import VirtualPort
from twin.virtual_rig import arm_at

PERIOD_S = 0.01
FUZZ = settings(
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

Change = Callable[[bytes], bytes]


class TamperedArm(BenchArm):
    """Its answers pass through `change` on their way to the host; `places` is where it was."""

    change: Change | None = None
    answered = False

    def handle(self, data: bytes) -> bytes:
        self.places.append(self.position)
        answer = super().handle(data)
        answer = self.change(answer) if self.change and answer else answer
        self.answered = bool(answer)
        return answer

    def start_anew(self, position: np.ndarray) -> None:
        self.place(position)
        self.places = [self.position]
        self.written_goals.clear()
        self.violations.clear()


class Bridge:
    """A bridge without ROS, in model time: one cycle every 10 ms, a heartbeat while `beating`.

    `now_s` is ROS time, which may be set back; the servos and the steady clock go by `steady_s`.
    """

    def __init__(self, arm: TamperedArm, bus: DynamixelBus) -> None:
        self.arm, self.bus = arm, bus
        self.now_s, self.steady_s = 100.0, 7.0

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.steady_s += seconds

    def start_anew(self, now_s: float = 100.0) -> None:
        """The arm limp at its rest pose, then held by a new bridge."""
        self.wait(10.0)
        self.now_s = now_s
        self.arm.change = None
        self.bus.set_torque(False)
        self.arm.start_anew(self.arm.arm.rest_pose)
        self.control = ArmController(self.arm.arm)
        self.driver = ArmDriver(self.bus, self.control)
        self.services = ArmServices(self.driver)
        self.beating = True
        self.driver.activate()
        self.cycles(2)
        assert self.control.mode == Mode.HOLDING

    def cycles(self, count: int) -> Cycle:
        for _ in range(count):
            self.wait(PERIOD_S)
            if self.beating:
                self.control.heartbeat(False, "", self.steady_s)
            cycle = self.driver.cycle(self.now_s, self.steady_s)
        return cycle

    def follow(self, target: list[float], count: int) -> None:
        """A stream of one and the same target, at 50 Hz."""
        for _ in range(count):
            self.hear(target_message(np.array(target), self.now_ns))
            self.cycles(2)

    def swing(self, way: tuple[float, float], count: int) -> None:
        """A stream that begins where the goals are, and may be too fast for the arm: rad, rad/s."""
        amplitude_rad, rate_rad_s = way
        here = self.control.limiter.position
        for k in range(count):
            away = amplitude_rad * np.sin(rate_rad_s * 0.02 * k)
            self.hear(target_message(here + away, self.now_ns))
            self.cycles(2)

    def go_on(self, steps: list[list[float]]) -> None:
        """A trajectory that begins where the goals are, at once, with a point every 0.1 s."""
        message = target_message(self.control.limiter.position, self.now_ns)
        places = self.control.limiter.position + np.cumsum(0.1 * np.array(steps), axis=0)
        for k, place in enumerate(places.tolist()):
            point = JointTrajectoryPoint(positions=array("d", place))
            set_stamp(point.time_from_start, 100_000_000 * (k + 1))
            message.points.append(point)
        self.hear(message)
        self.cycles(7)

    def hear(self, message: JointTrajectory) -> None:
        self.control.offer(read_command(message), self.now_s)

    def ask(self, service: Callable[[], object]) -> None:
        """As an operator would; the answer may be no."""
        with contextlib.suppress(BusError, Refused):
            service()

    @property
    def now_ns(self) -> int:
        return round(self.now_s * 1e9)


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    folder = tmp_path_factory.mktemp("ports")
    arm = TamperedArm(arm_at(folder))
    arm.start_anew(arm.arm.rest_pose)
    bus = DynamixelBus(arm.arm)
    made = Bridge(arm, bus)
    port = VirtualPort(folder, Path(arm.arm.port).name, arm)
    write = PollingPort.writePort

    def write_and_be_answered(self: PollingPort, packet: bytes) -> int:
        sent = int(write(self, packet))
        while not port.service(made.steady_s):
            select.select([port], (), ())
        if arm.answered:
            self.wait(1.0)  # until the answer is through the pseudo-terminal
        return sent

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PollingPort, "writePort", write_and_be_answered)
        bus.open()
        bus.check()
        bus.configure()
        yield made
        bus.close()
    port.close()


def assert_nothing_forbidden(arm: BenchArm) -> None:
    assert not arm.violations, arm.violations[0]
    assert arm.written_goals
    assert {servo for _, servo, _ in arm.written_goals.copy()} <= {s.id for s in arm.arm.addressed}


def assert_speed_limits(arm: TamperedArm) -> None:
    """Of the motion that goals on the wire have caused; each goal is rounded to a tick."""
    steps = np.abs(np.diff(arm.places, axis=0)).max(axis=0)
    assert (steps <= arm.arm.limits.velocity * PERIOD_S + RAD_PER_TICK).all()


def assert_soft_limits(arm: BenchArm) -> None:
    lower, upper = arm.arm.limits.soft_lower, arm.arm.limits.soft_upper
    joints = zip(arm.arm.addressed, lower, upper, strict=True)
    for servo, low, high in joints:
        virtual = arm.servos[servo.id]
        for _, i, ticks in arm.written_goals.copy():
            if i == servo.id:
                angle = virtual.direction * (ticks - virtual.zero_ticks) * RAD_PER_TICK
                assert low - RAD_PER_TICK <= angle <= high + RAD_PER_TICK


# -- messages -------------------------------------------------------------------------------

numbers = st.one_of(st.floats(-4, 4), st.floats(), st.sampled_from([1e308, -1e9, 99.0, 0.0]))
rows = st.one_of(
    st.just([]),
    st.lists(st.floats(-3.2, 3.2), min_size=7, max_size=7),
    st.lists(numbers, max_size=9),
).map(lambda row: array("d", row))
names = st.one_of(
    st.permutations(JOINTS),
    st.just(list(JOINTS)),
    st.lists(st.sampled_from([*JOINTS, "left_finger", ""]), max_size=9),
)
durations = st.builds(
    Duration,
    sec=st.one_of(st.integers(0, 2), st.integers(-(2**31), 2**31 - 1)),
    nanosec=st.one_of(st.integers(0, 999_999_999), st.integers(0, 2**32 - 1)),
)
points = st.builds(
    JointTrajectoryPoint,
    positions=rows,
    velocities=rows,
    accelerations=rows,
    effort=rows,
    time_from_start=durations,
)
stamps = st.one_of(
    st.none(),
    st.floats(-0.12, 0.3),
    st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, 2**32 - 1)),
)
poses = st.lists(st.floats(-4, 4), min_size=7, max_size=7)


def move(*times_ns: int) -> JointTrajectory:
    """All joints to 0, with points at these times."""
    message = JointTrajectory(joint_names=list(JOINTS))
    for time_ns in times_ns:
        point = JointTrajectoryPoint(positions=array("d", [0.0] * len(JOINTS)))
        set_stamp(point.time_from_start, time_ns)
        message.points.append(point)
    return message


@st.composite
def trajectories(draw: st.DrawFn) -> JointTrajectory:
    """Going anywhere, in order; some with two points as close as they can be written."""
    times = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=6, unique=True).map(sorted))
    message = JointTrajectory(joint_names=draw(st.permutations(JOINTS)))
    fast, close_ns = draw(st.booleans()), draw(st.sampled_from([0, 0, 1, 100]))
    times_ns = [1_000_000 * time_ms for time_ms in times]
    if close_ns:
        times_ns.append(times_ns[-1] + close_ns)
    for time_ns in times_ns:
        speeds = draw(poses) if fast else []
        point = JointTrajectoryPoint(
            positions=array("d", draw(poses)), velocities=array("d", [9 * v for v in speeds])
        )
        set_stamp(point.time_from_start, time_ns)
        message.points.append(point)
    return message


messages = st.tuples(
    stamps,
    st.one_of(
        st.builds(JointTrajectory, joint_names=names, points=st.lists(points, max_size=5)),
        trajectories(),
    ),
)
events = st.one_of(
    st.tuples(st.just("message"), messages),
    st.tuples(st.just("message"), messages),
    st.tuples(st.just("cycles"), st.integers(1, 30)),
    st.tuples(st.just("follow"), poses),
    st.tuples(st.just("swing"), st.tuples(st.floats(0, 1.5), st.floats(0.2, 12.0))),
    st.tuples(st.just("go on"), st.lists(poses, min_size=1, max_size=4)),
    st.tuples(st.just("beating"), st.booleans()),
    st.tuples(st.just("e-stop"), st.booleans()),
    st.tuples(st.just("pause"), st.floats(0.0, 1.0)),
    st.tuples(st.just("clock back"), st.floats(0.0, 50.0)),
    st.tuples(st.just("torque"), st.booleans()),
    st.tuples(st.just("park"), st.none()),
)


def happen(bridge: Bridge, what: str, detail: Any) -> None:
    control = bridge.control
    if what == "message":
        stamp, message = detail
        if isinstance(stamp, float):
            set_stamp(message.header.stamp, bridge.now_ns + round(stamp * 1e9))
        else:
            message.header = Header(stamp=stamp or Time())
        bridge.hear(message)
        bridge.cycles(3)
    elif what == "cycles":
        bridge.cycles(detail)
    elif what == "follow":
        bridge.follow(detail, 12)
    elif what == "swing":
        bridge.swing(detail, 25)
    elif what == "go on":
        bridge.go_on(detail)
    elif what == "beating":
        bridge.beating = bool(detail)
        bridge.wait(0.6 * (not detail))
    elif what == "e-stop":
        control.e_stop("fuzz")
        bridge.cycles(5)
        if detail:
            control.heartbeat(True, "fuzz", bridge.steady_s)
    elif what == "pause":
        bridge.wait(detail)
    elif what == "clock back":
        bridge.now_s = max(1.0, bridge.now_s - detail)
        bridge.driver.clock_jumped()
    elif what == "torque":
        bridge.ask(lambda: bridge.services.set_torque(bool(detail), bridge.steady_s))
    elif what == "park":
        control.begin_parking()


@settings(FUZZ, max_examples=150)
@given(
    script=st.lists(events, min_size=1, max_size=14),
    now_s=st.sampled_from([100.0, 1.7e9 + 0.123456789]),
)
@example(
    script=[("message", (None, move(100_000_000, 500_000_000, 500_000_001))), ("cycles", 80)],
    now_s=1.7e9 + 0.123456789,
)
def test_no_command_gets_a_forbidden_goal_to_the_wire(
    bridge: Bridge, script: list, now_s: float
) -> None:
    bridge.start_anew(now_s)
    for what, detail in script:
        happen(bridge, what, detail)
    bridge.cycles(5)
    assert_nothing_forbidden(bridge.arm)
    assert_soft_limits(bridge.arm)
    assert_speed_limits(bridge.arm)


# -- bytes ----------------------------------------------------------------------------------


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, Change]:
    """What happens to one burst of answers, wherever it is."""
    kind = draw(st.sampled_from(["flip", "cut", "insert", "twice", "foreign", "lost", "swapped"]))
    at, other = draw(st.floats(0, 1)), draw(st.integers(1, 255))
    extra = draw(st.one_of(st.binary(max_size=30), st.just(packets.HEADER)))
    servo = draw(st.integers(0, 252))
    forged = packets.status(servo, draw(st.integers(0, 255)), extra)

    def change(answer: bytes) -> bytes:
        k = min(int(at * len(answer)), len(answer) - 1)
        return {
            "flip": answer[:k] + bytes([answer[k] ^ other]) + answer[k + 1 :],
            "cut": answer[:k],
            "insert": answer[:k] + extra + answer[k:],
            "twice": answer + answer[k:],
            "foreign": answer[:k] + forged + answer[k:] if other % 2 else forged + answer,
            "lost": b"",
            "swapped": answer[k:] + answer[:k],
        }[kind]

    return kind, change


@settings(FUZZ, max_examples=40)
@given(
    script=st.lists(
        st.tuples(
            changes(),
            st.integers(1, 4),
            st.floats(0, 12),
            st.sampled_from(["", "reboot", "torque"]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_no_answer_gets_a_forbidden_goal_to_the_wire_and_none_is_made_up(
    bridge: Bridge, script: list
) -> None:
    bridge.start_anew()
    believed = True
    for (kind, change), count, rate_rad_s, service in script:
        bridge.swing((0.3, rate_rad_s), 4)
        bridge.arm.change = change
        believed &= kind != "foreign"
        for _ in range(count):
            state = bridge.cycles(1).state
            if state is not None and believed:
                assert_was_there(bridge.arm, state.position)
        if service:
            asked = {
                "reboot": bridge.services.reboot,
                "torque": lambda: bridge.services.set_torque(True, bridge.steady_s),
            }
            bridge.ask(asked[service])
        bridge.arm.change = None
    assert_nothing_forbidden(bridge.arm)
    if believed:
        assert_speed_limits(bridge.arm)
    assert any(bridge.cycles(1).state is not None for _ in range(20)), "it does not recover"


def assert_was_there(arm: TamperedArm, position: np.ndarray) -> None:
    """Each joint has been, lately, where it was read."""
    lately = np.array(arm.places[-200:])
    assert (np.abs(lately - position).min(axis=0) < 0.6 * RAD_PER_TICK).all()

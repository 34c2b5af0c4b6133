"""What the panels hear of the graph: newest messages, their age, and views made of them.

Everything is heard best effort with a queue of one: a panel that hangs holds up nobody. All of this
runs in the link's thread.
"""

import math
from collections import deque
from functools import partial
from typing import Any

from aloha_interfaces.msg import (
    ArmStatus,
    PlayerState,
    PolicyState,
    RecorderState,
    RobotSummary,
    SafetyState,
    TeleopState,
)
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.nodes._conversions import read_mode, stamp_ns
from aloha_stack.nodes._operator_known import SILENT_S, Pace, Voice
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import JOINTS, side_of
from rqt_aloha import views
from rqt_aloha.health import Health
from rqt_aloha.views import Heard, Joints

LIGHT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
MANY = QoSProfile(depth=30, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Of /diagnostics, on which many speak at once."""

JOINTS_S, POLICY_S, PLAYER_S, CHUNK_S, SUMMARY_S = 0.6, 1.0, 2.0, 1.5, 1.0
"""Steady time after which these count as silent. Joints come at 100 Hz of model time, which may run
at a fifth of the wall's; chunk_player speaks twice a second outside of rollouts."""

MOTION_S, MOTION_STEP_S, MOTION_MOST = 5.0, 0.045, 120
"""ROS time that is kept of a follower's motion, between two samples of it, and how many at most."""


class Hearing:
    """Subscribes to everything but pictures; `fill` makes views of it."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self.arms = {arm: Voice[ArmStatus](SILENT_S["arm"]) for arm in robot.arms}
        self.paces = {arm: Pace() for arm in robot.arms}
        self.joints = {arm: Voice[Any](JOINTS_S) for arm in robot.arms}
        self.commands = {arm.name: Voice[Any](JOINTS_S) for arm in robot.followers}
        self.motion = {side_of(arm.name): Track() for arm in robot.followers}
        self.safety = Voice[SafetyState](SILENT_S["safety"])
        self.teleop = Voice[TeleopState](SILENT_S["teleop"])
        self.player = Voice[PlayerState](PLAYER_S)
        self.ticks = Pace()
        self.policy = Voice[PolicyState](POLICY_S)
        self.recorder = Voice[RecorderState](SILENT_S["recorder"])
        self.chunk = Voice[views.ChunkView](CHUNK_S)
        self.summary = Voice[RobotSummary](SUMMARY_S)
        self.health = Health(robot)
        self._stamps: dict[str, int] = {}

        def hear(kind: Any, topic: str, does: Any, qos: QoSProfile = LIGHT) -> Any:
            return node.create_subscription(kind, topic, does, qos)

        for arm in robot.arms:
            hear(ArmStatus, f"/{arm}/status", partial(self._on_arm, arm))
            hear(JointState, f"/{arm}/joint_states", partial(self._on_joints, arm))
        for arm in self.commands:
            hear(JointState, f"/{arm}/command_executed", partial(self._on_command, arm))
        hear(SafetyState, "/safety/state", self.safety.hear)
        hear(TeleopState, "/teleop/state", self.teleop.hear)
        hear(PlayerState, "/chunk_player/state", self._on_player)
        hear(PolicyState, "/policy/state", self.policy.hear)
        hear(JointTrajectory, "/policy/chunk", self._on_chunk)
        hear(RecorderState, "/recorder/state", self.recorder.hear)
        hear(RobotSummary, "/monitor/summary", self.summary.hear)
        self.diagnostics = hear(DiagnosticArray, "/diagnostics", self.health.hear, MANY)
        """Of which a look has to take all that came (take_rest)."""

    # -- messages ---------------------------------------------------------------------------

    def _on_arm(self, arm: str, message: ArmStatus) -> None:
        self.arms[arm].hear(message)
        self.paces[arm].saw(message.cycles, stamp_ns(message.header.stamp) * 1e-9)

    def _on_joints(self, arm: str, message: JointState) -> None:
        joints = read_joints(message)
        if joints is None or not self._is_new(f"joints {arm}", message):
            return
        self.joints[arm].hear(joints)
        if arm in self.commands:
            stamp_s = stamp_ns(message.header.stamp) * 1e-9
            self.motion[side_of(arm)].add(stamp_s, joints)

    def _on_command(self, arm: str, message: JointState) -> None:
        joints = read_joints(message)
        if joints is not None and self._is_new(f"command {arm}", message):
            self.commands[arm].hear(joints)

    def _on_player(self, message: PlayerState) -> None:
        self.player.hear(message)
        self.ticks.saw(message.tick, stamp_ns(message.header.stamp) * 1e-9)

    def _on_chunk(self, message: JointTrajectory) -> None:
        chunk = read_chunk(message, tuple(self.motion))
        if chunk is not None:
            self.chunk.hear(chunk)

    def _is_new(self, name: str, message: Any) -> bool:
        """Whether its stamp is another than the last one's: what stands still is not alive."""
        stamp = stamp_ns(message.header.stamp)
        if self._stamps.get(name) == stamp:
            return False
        self._stamps[name] = stamp
        return True

    # -- views ------------------------------------------------------------------------------

    def view(self, pictures: dict[str, Heard[views.PictureView]]) -> views.View:
        """Everything as it is now."""
        return views.View(
            arms={arm: self._arm(arm) for arm in self.arms},
            sides={side: self._side(side) for side in self.motion},
            safety=heard(self.safety, _safety),
            teleop=heard(self.teleop, lambda m: views.TeleopView(_name(m, m.state), m.reason)),
            player=heard(self.player, self._player),
            policy=heard(self.policy, _policy),
            recorder=heard(self.recorder, _recorder),
            chunk=heard(self.chunk, lambda chunk: chunk),
            motion={
                side: track.motion
                if self.joints[f"follower_{side}"].now is not None
                else views.Motion()
                for side, track in self.motion.items()
            },
            pictures=pictures,
            camera_rates={name: self.health.camera_rate(name) for name in pictures},
            health=self.health.rows(self),
            commander=heard(self.summary, lambda m: m.commander),
        )

    def _arm(self, arm: str) -> Heard[views.ArmView]:
        pace = self.paces[arm]
        return heard(
            self.arms[arm],
            lambda m: views.ArmView(
                *(read_mode(m.mode).name, m.reason, m.torque, pace.hz, m.read_age),
                *(m.cycles, m.overruns),
            ),
        )

    def _side(self, side: str) -> views.SideView:
        def joints(voice: Voice[Any] | None) -> Heard[Joints]:
            return Heard() if voice is None else heard(voice, lambda values: values)

        return views.SideView(
            joints(self.joints.get(f"leader_{side}")),
            joints(self.joints.get(f"follower_{side}")),
            joints(self.commands.get(f"follower_{side}")),
        )

    def _player(self, m: PlayerState) -> views.PlayerView:
        return views.PlayerView(
            _name(m, m.state),
            _name(m, m.commander, ("NOBODY", "POLICY", "OPERATOR")),
            m.reason,
            self.ticks.hz,
            m.chunk_age,
            m.inference_time,
            m.chunks,
            m.overruns,
            m.holds,
            m.takeovers,
        )


class Track:
    """The last seconds of one follower's motion. A time that runs backwards begins anew."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Joints]] = deque(maxlen=MOTION_MOST)

    def add(self, stamp_s: float, joints: Joints) -> None:
        samples = self._samples
        if samples and stamp_s < samples[-1][0]:
            samples.clear()
        if samples and stamp_s - samples[-1][0] < MOTION_STEP_S:
            return
        samples.append((stamp_s, joints))
        while stamp_s - samples[0][0] > MOTION_S:
            samples.popleft()

    @property
    def motion(self) -> views.Motion:
        times, rows = zip(*self._samples, strict=True) if self._samples else ((), ())
        return views.Motion(times, rows)


def heard(voice: Voice[Any], make: Any) -> Heard[Any]:
    """A view of what is said now, or why there is none."""
    message = voice.now
    return Heard(None, voice.absence) if message is None else Heard(make(message))


def read_joints(message: JointState) -> Joints | None:
    """The seven addressed joints; None if one is missing or no number."""
    if len(message.name) != len(message.position):
        return None
    places = dict(zip(message.name, message.position, strict=True))
    try:
        joints = tuple(places[name] for name in JOINTS)
    except KeyError:
        return None
    return joints if all(map(math.isfinite, joints)) else None


def read_chunk(message: JointTrajectory, sides: tuple[str, ...]) -> views.ChunkView | None:
    """A chunk of `{side}_{joint}`; None if it is none."""
    columns = {name: index for index, name in enumerate(message.joint_names)}
    points = message.points
    if not points or any(len(point.positions) != len(columns) for point in points):
        return None
    begin_s = stamp_ns(message.header.stamp) * 1e-9
    rows = {}
    for side in sides:
        wanted = [columns.get(f"{side}_{joint}") for joint in JOINTS]
        if None not in wanted:
            rows[side] = tuple(tuple(p.positions[i] for i in wanted) for p in points)  # type: ignore[misc]
    times = tuple(begin_s + stamp_ns(point.time_from_start) * 1e-9 for point in points)
    return views.ChunkView(times, rows)


def _name(message: Any, number: int, names: tuple[str, ...] = ()) -> str:
    """The name of a constant of the message's type; without `names` it is one of its states."""
    known = {getattr(message, n): n for n in names or STATES[type(message).__name__]}
    return known.get(number, f"UNKNOWN {number}")


STATES = {
    "TeleopState": ("WAITING", "RAMPING", "MATCHING", "ENGAGED", "STOPPED"),
    "PlayerState": ("IDLE", "STARTING", "RAMPING", "PLAYING", "HOLDING", "MATCHING", "HUMAN"),
    "PolicyState": ("UNLOADED", "LOADING", "READY", "INFERRING", "STOPPED"),
    "RecorderState": ("IDLE", "RECORDING", "PAUSED", "CLOSING"),
}
"""The names of `state`, by type of message; a test holds them against the interfaces."""


def _safety(m: SafetyState) -> views.SafetyView:
    return views.SafetyView(m.e_stopped, m.cause, tuple(m.pending))


def _policy(m: PolicyState) -> views.PolicyView:
    return views.PolicyView(
        _name(m, m.state), m.reason, m.checkpoint, m.inference_time, m.chunks, m.failures
    )


def _recorder(m: RecorderState) -> views.RecorderView:
    return views.RecorderView(
        *(_name(m, m.state), m.path, m.task, m.elapsed, m.messages, m.lost, m.free_gib),
        *(tuple(m.silent), m.last_path, m.last_outcome, m.kept, m.message),
    )

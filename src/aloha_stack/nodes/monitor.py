"""The robot at a glance on /monitor/summary: what every part does, and how old that is.

It hears what the nodes say anyway, and commands nothing. Whatever falls silent is shown as unknown.
It counts steady time, so that it goes on while /clock stands still.
"""

import sys
import time
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
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control.voices import UNKNOWN as UNTOLD
from aloha_stack.nodes._chosen_cameras import with_chosen_cameras
from aloha_stack.nodes._conversions import set_stamp, stamp_ns
from aloha_stack.nodes._diagnostics import Findings, NodeDiagnostics, Rate, number
from aloha_stack.nodes._executor import LookingExecutor, take_rest
from aloha_stack.nodes._heard import Pace, Voice
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._summary import CAMERAS, Diagnostics, commander, judge
from aloha_stack.nodes._summary_arm import ArmWatch
from aloha_stack.nodes._summary_parts import (
    camera_part,
    player_part,
    policy_part,
    recorder_part,
    safety_part,
    teleop_part,
)
from aloha_stack.robot.description import load_robot

RATE_HZ = 10.0
"""Summaries per second, steady time."""
SLOWEST_CLOCK = 0.25
"""Some speak but a few times a second of ROS time: while that runs slower than the wall's they get
as much more time, down to so many seconds of it per second."""
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""It hears what is said while it is there: never an old last word, and no writer waits for it."""
SAID = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Of /diagnostics each message counts: a dozen nodes speak there."""


class Monitor(SimpleNode):
    """Publishes /monitor/summary."""

    def __init__(self, **options: Any) -> None:
        super().__init__("monitor", **options)
        name = declare(self, "robot", "aloha", "robot file: a name in config/robots, or a path")
        robot = with_chosen_cameras(self, load_robot(name))
        self._stale_s = declare(
            self,
            "stale_time",
            1.5,
            "s without a word after which an arm, a camera, safety … counts as silent",
            (0.6, 30.0),
        )
        node_s = declare(
            self,
            "node_stale_time",
            3.5,
            "s without diagnostics (which come once a second) after which a node does",
            (1.5, 60.0),
        )
        self._arms = {arm: ArmWatch(arm, self._stale_s) for arm in robot.arms}
        self._cameras = list(robot.cameras.values())
        self._safety = Voice[SafetyState](self._stale_s)
        self._recorder = Voice[RecorderState](self._stale_s)
        self._policy, self._chunks = Voice[PolicyState](self._stale_s), Pace()
        self._teleop = Voice[TeleopState](self._stale_s)
        self._player, self._ticks = Voice[PlayerState](self._stale_s), Pace()
        self._images = {c.name: (Voice[CameraInfo](self._stale_s), Pace()) for c in self._cameras}
        self._said = Diagnostics(node_s)
        self._clock_rate = Pace()
        self._needed = ["safety", *(f"{arm}/arm_bridge" for arm in self._arms)]
        self._count, self._rate, self._silent = 0, Rate(), 0
        self._listen(robot.followers)
        self._publisher = self.create_publisher(RobotSummary, "~/summary", 1)
        self._diagnostics = NodeDiagnostics(self, "summary", self._diagnose)

    def looked(self) -> None:
        """After each look of the executor: says what is known now."""
        take_rest(self._diagnostics_in)
        now_ns = self.time.now_ns()
        self._clock_rate.saw(now_ns, time.monotonic())
        self._be_patient()
        self._publisher.publish(self.summary(now_ns))

    def summary(self, now_ns: int) -> RobotSummary:
        """The robot as it is now; `now_ns` is ROS time."""
        said = self._said.now()
        self._count += 1
        summary = RobotSummary(
            count=self._count,
            clock_rate=1e-9 * self._clock_rate.hz,
            safety=safety_part(self._safety),
            arms=[arm.part(said) for arm in self._arms.values()],
            cameras=[
                camera_part(c.name, c.rate_hz, *self._images[c.name], said.get(CAMERAS + c.name))
                for c in self._cameras
            ],
            teleop=teleop_part(self._teleop),
            replay=self._said.node("replay"),
            recorder=recorder_part(self._recorder),
            policy=policy_part(self._policy, self._chunks),
            player=player_part(self._player, self._ticks),
            nodes=self._said.nodes(self._arms, self._needed),
        )
        set_stamp(summary.header.stamp, now_ns)
        summary.commander = commander(summary)
        judge(summary)
        self._silent = sum(node.stale for node in summary.nodes)
        return summary

    # -- what it hears ----------------------------------------------------------------------

    def _listen(self, followers: Any) -> None:
        hear = self.create_subscription
        for arm, watch in self._arms.items():
            hear(ArmStatus, f"/{arm}/status", watch.hear_status, NEWEST)
        for arm in followers:
            command = self._arms[arm.name].command
            hear(JointTrajectory, f"/{arm.name}/command", command.hear, NEWEST)
        for camera in self._cameras:
            hear(CameraInfo, camera.info_topic, partial(self._on_image, camera.name), NEWEST)
        hear(SafetyState, "/safety/state", self._safety.hear, NEWEST)
        hear(TeleopState, "/teleop/state", self._teleop.hear, NEWEST)
        hear(RecorderState, "/recorder/state", self._recorder.hear, NEWEST)
        hear(PolicyState, "/policy/state", self._on_policy, NEWEST)
        hear(PlayerState, "/chunk_player/state", self._on_player, NEWEST)
        self._diagnostics_in = hear(DiagnosticArray, "/diagnostics", self._said.hear, SAID)

    def _on_image(self, camera: str, message: CameraInfo, about: dict[str, Any]) -> None:
        voice, pace = self._images[camera]
        voice.hear(message)
        sequence = about["publication_sequence_number"]
        if sequence != UNTOLD:
            pace.saw(sequence, stamp_ns(message.header.stamp) * 1e-9)

    def _on_policy(self, message: PolicyState) -> None:
        self._policy.hear(message)
        self._chunks.saw(message.chunks, time.monotonic())

    def _on_player(self, message: PlayerState) -> None:
        self._player.hear(message)
        self._ticks.saw(message.tick, stamp_ns(message.header.stamp) * 1e-9)

    def _be_patient(self) -> None:
        """With those who speak rarely, by ROS time."""
        rate = 1e-9 * self._clock_rate.hz
        slow = min(1.0, max(SLOWEST_CLOCK, rate if rate == rate else 1.0))
        self._teleop.limit_s = self._player.limit_s = self._stale_s / slow

    def _diagnose(self) -> Findings:
        rate_hz = self._rate.per_s(self._count, time.monotonic_ns())
        return [], {"summaries (Hz)": number(rate_hz, 1), "silent nodes": str(self._silent)}


def main(args: list[str] | None = None) -> int:
    """The executable `monitor`."""
    return run(Monitor, args, executor=partial(LookingExecutor, RATE_HZ))


if __name__ == "__main__":
    sys.exit(main())

"""Leaders to followers at 50 Hz of ROS time."""

import sys
import threading
from typing import Any

from aloha_interfaces.msg import SafetyState, TeleopState
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control.pacing import Pacer
from aloha_stack.control.teleop import Pair, Teleoperation, TeleopSettings, TeleopStage
from aloha_stack.nodes._arm_views import ArmViews
from aloha_stack.nodes._conversions import set_stamp, target_message
from aloha_stack.nodes._diagnostics import Findings, NodeDiagnostics, Rate, number
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._qos import COMMAND, STATE
from aloha_stack.nodes._realtime import come_first, declare_priority
from aloha_stack.nodes._state_diagnostics import STARTING, of_teleop
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import leader_of

STATE_PERIOD_NS = 100_000_000


class Teleop(SimpleNode):
    """Publishes /{follower}/command and /teleop/state."""

    def __init__(self, **options: Any) -> None:
        super().__init__("teleop", **options)
        robot = load_robot(
            declare(self, "robot", "aloha", "robot file: a name in config/robots, or a path")
        )
        self._rate_hz = declare(self, "rate_hz", 50.0, "targets per second of ROS time", (10, 200))
        self._priority = declare_priority(self)
        settings = TeleopSettings(
            tolerance_rad=declare(
                self, "tolerance", 0.2, "rad; how far each joint may be off to match", (0.01, 1.0)
            ),
            max_state_age_s=declare(
                self, "max_state_age", 0.1, "s; older joint states stop the followers", (0.02, 1.0)
            ),
            ramp_speed_rad_s=declare(
                self, "ramp_speed", 0.8, "rad/s; top speed to the start pose", (0.1, 2.0)
            ),
            blend_s=declare(
                self,
                "blend_time",
                1.0,
                "s in which a difference fades after engagement",
                (0.1, 5.0),
            ),
        )
        pairs = tuple(Pair(robot.arm(leader_of(arm.name)), arm) for arm in robot.followers)
        self._teleop = Teleoperation(pairs, settings)
        self._lock = threading.Lock()
        self._e_stop = ""
        self._shown: TeleopStage | None = None
        self._shown_ns = 0
        self._said: TeleopState | None = None
        self._tick_rate = Rate()
        self._pacer = Pacer(
            1 / self._rate_hz,
            self.time.now_ns,
            lambda deadline_ns: self.time.sleep_until(deadline_ns, self._ending),
        )
        self._state = self.create_publisher(TeleopState, "/teleop/state", STATE)
        self._commands = {
            pair.follower.name: self.create_publisher(
                JointTrajectory, f"/{pair.follower.name}/command", COMMAND
            )
            for pair in pairs
        }
        self._views = ArmViews(
            self, [arm.name for pair in pairs for arm in (pair.leader, pair.follower)]
        )
        self.create_subscription(SafetyState, "/safety/state", self._on_safety, STATE)
        self.create_service(
            Trigger,
            "/teleop/disengage",
            self._on_disengage,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self._diagnostics = NodeDiagnostics(self, "engagement", self._diagnose)
        self._ending = threading.Event()
        self._thread = self.start_thread(self._run_ticks, "ticks")

    def on_process(self) -> None:
        come_first(self._priority, self.get_logger())

    def close(self) -> None:
        self.time.poke(self._ending)
        self._thread.join()

    # -- the ticks' thread ------------------------------------------------------------------

    def _run_ticks(self) -> None:
        pacer = self._pacer
        pacer.start()
        jumps = 0
        while not self._ending.is_set():
            due = pacer.wait()
            if pacer.jumps != jumps:
                jumps = pacer.jumps
                self._views.forget_positions()
            if due:
                self._tick(self.time.now_ns())

    def _tick(self, now_ns: int) -> None:
        with self._lock:
            targets = self._teleop.tick(now_ns * 1e-9, self._views.at(now_ns), self._e_stop)
        for follower, target in targets.items():
            self._commands[follower].publish(target_message(target, now_ns))
        self._publish_state(now_ns)

    def _publish_state(self, now_ns: int) -> None:
        """At 10 Hz, and at once when the stage has changed."""
        stage, reason = self._teleop.stage, self._teleop.reason
        if stage == self._shown and 0 <= now_ns - self._shown_ns < STATE_PERIOD_NS:
            return
        if stage != self._shown:
            self.get_logger().info(f"{stage.name} {reason}".rstrip())
        self._shown, self._shown_ns = stage, now_ns
        message = TeleopState(state=int(stage), reason=reason)
        set_stamp(message.header.stamp, now_ns)
        self._state.publish(message)
        self._said = message

    def _diagnose(self) -> Findings:
        now_ns = self.time.now_ns()
        findings, values = STARTING if self._said is None else of_teleop(self._said)
        ages = {arm: view.age_s for arm, view in self._views.at(now_ns).items()}
        return findings, {
            **values,
            "tick rate (Hz)": number(self._tick_rate.per_s(self._pacer.ticks, now_ns), 1),
            "overruns": str(self._pacer.overruns),
            **{f"joint state age of {arm} (s)": number(age, 3) for arm, age in ages.items()},
        }

    # -- messages ---------------------------------------------------------------------------

    def _on_safety(self, message: SafetyState) -> None:
        self._e_stop = message.cause if message.e_stopped else ""

    def _on_disengage(self, _: Any, response: Any) -> Any:
        with self._lock:
            before = self._teleop.stage
            self._teleop.disengage()
        response.success = True
        response.message = f"was {before.name.lower()}, is {self._teleop.stage.name.lower()}"
        return response


def main(args: list[str] | None = None) -> int:
    return run(Teleop, args)


if __name__ == "__main__":
    sys.exit(main())

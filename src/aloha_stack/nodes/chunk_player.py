"""The followers' commander in a rollout: a policy's chunks into targets at 50 Hz of ROS time.

It serves the action ~/rollout, merges what comes on /policy/chunk, and lets a human take over with
the leaders in between. Outside of a rollout it commands nothing.
"""

import sys
import threading
from typing import Any

import numpy as np
from aloha_interfaces.action import Rollout
from aloha_interfaces.msg import PlayerState, SafetyState
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control.chunks import MODES, ChunkRefused, ChunkSchedule
from aloha_stack.control.pacing import Pacer
from aloha_stack.control.rollout import RolloutPlayer, Stage
from aloha_stack.control.takeover import Takeover, TakeoverSettings
from aloha_stack.control.teleop import Pair
from aloha_stack.nodes._arm_views import ArmViews
from aloha_stack.nodes._chunks import ALONE, read_chunk
from aloha_stack.nodes._conversions import set_stamp, target_message
from aloha_stack.nodes._diagnostics import Findings, NodeDiagnostics, Rate, number
from aloha_stack.nodes._executor import LeanExecutor
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._qos import COMMAND, STATE
from aloha_stack.nodes._qos import JOINTS as JOINTS_QOS
from aloha_stack.nodes._realtime import come_first, declare_priority
from aloha_stack.nodes._rollout import Clients, RolloutStory
from aloha_stack.nodes._rollout_links import PolicyLink, TaskLink
from aloha_stack.nodes._state_diagnostics import of_player
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import leader_of

IDLE_PERIOD_NS = 500_000_000
REST_S = 0.4
"""In this ROS time the followers come to rest at the end of a rollout."""

OVER = "the rollout is over"


class ChunkPlayer(SimpleNode):
    """See the module. Publishes /{follower}/command and ~/state."""

    def __init__(self, **options: Any) -> None:
        super().__init__("chunk_player", **options)
        robot = load_robot(
            declare(self, "robot", "aloha", "robot file: a name in config/robots, or a path")
        )
        self.rate_hz = declare(
            self, "rate_hz", 50.0, "targets, and rows of a chunk, per second of ROS time", (10, 200)
        )
        self._to_start = declare(
            self, "to_start", True, "whether a rollout begins with a ramp to the start pose"
        )
        self._end_on_success = declare(
            self, "end_on_success", False, "whether the task's success (twin) ends a rollout"
        )
        self._dt_ns = round(1e9 / self.rate_hz)
        self._priority = declare_priority(self)
        schedule = ChunkSchedule(
            self._dt_ns,
            declare(self, "mode", "ensemble", "how chunks are merged", choices=MODES),
            declare(self, "m", 0.01, "ensemble: weights are exp(-m i), the oldest first", (-1, 10)),
            declare(self, "blend_time", 0.2, "s in which chunks come in and go", (0.0, 2.0)),
        )
        settings = TakeoverSettings(
            tolerance_rad=declare(
                self, "tolerance", 0.2, "rad; how far each joint may be off to match", (0.01, 1.0)
            ),
            blend_s=declare(
                self, "takeover_time", 1.0, "s in which a difference fades then", (0.1, 5.0)
            ),
            release_s=declare(
                self,
                "release_hold",
                1.0,
                "s for which both handles are let go to hand back; 0: by service only",
                (0.0, 60.0),
            ),
        )
        pairs = tuple(Pair(robot.arm(leader_of(arm.name)), arm) for arm in robot.followers)
        self.rollout = RolloutPlayer(tuple(robot.followers), schedule, Takeover(pairs, settings))
        self._lock = threading.Lock()
        self._e_stop = ""
        self._over = False
        self._overruns = 0
        self._overruns_before: int | None = None
        self._shown: tuple[Any, ...] = ()
        self._shown_ns = 0
        self._state = self.create_publisher(PlayerState, "~/state", JOINTS_QOS)
        self._commands = {
            arm.name: self.create_publisher(JointTrajectory, f"/{arm.name}/command", COMMAND)
            for arm in robot.followers
        }
        self._views = ArmViews(self, list(robot.arms))
        self.create_subscription(SafetyState, "/safety/state", self._on_safety, STATE)
        self.create_subscription(JointTrajectory, "/policy/chunk", self._on_chunk, JOINTS_QOS)
        self.policy, self.task = PolicyLink(self), TaskLink(self)
        self._group = ReentrantCallbackGroup()
        self.create_service(Trigger, "~/takeover", self._on_takeover, callback_group=self._group)
        self.create_service(Trigger, "~/release", self._on_release, callback_group=self._group)
        self._clients_asked = Clients(self)
        self._one = threading.Lock()
        self._ending = threading.Event()
        self._action = ActionServer(
            self,
            Rollout,
            "~/rollout",
            self._roll_out,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=self._group,
        )
        self._tick_rate, self._ticks = Rate(), 0
        self._diagnostics = NodeDiagnostics(self, "rollout", self._diagnose)
        self._thread = self.start_thread(self._run_ticks, "ticks")

    def on_process(self) -> None:
        come_first(self._priority, self.get_logger())

    def close(self) -> None:
        self.time.poke(self._ending)
        self._thread.join()

    # -- the ticks' thread ------------------------------------------------------------------

    def _run_ticks(self) -> None:
        pacer = Pacer(
            1 / self.rate_hz,
            self.time.now_ns,
            lambda deadline_ns: self.time.sleep_until(deadline_ns, self._ending),
        )
        jumps = 0
        while not self._ending.is_set():
            due = pacer.wait()
            if pacer.jumps != jumps:
                jumps = pacer.jumps
                self._views.forget_positions()
                with self._lock:
                    if self.rollout.stage != Stage.IDLE:
                        self.rollout.stop("time went back: the clock was set, or the world reset")
            if due:
                self._ticks, self._overruns = pacer.ticks, pacer.overruns
                self._tick(self.time.now_ns())

    def _tick(self, now_ns: int) -> None:
        views = self._views.at(now_ns)
        with self._lock:
            problem = OVER if self._over else self.policy.problem
            targets = self.rollout.tick(now_ns, views, self._e_stop, problem)
            state = self._state_message(now_ns)
        for follower, target in targets.items():
            self._commands[follower].publish(target_message(target, now_ns))
        self._publish_state(state, now_ns)

    def _state_message(self, now_ns: int) -> PlayerState:
        player = self.rollout
        age_s = player.target.age_s if player.target is not None else np.inf
        message = PlayerState(
            state=int(player.stage),
            commander=int(player.commander),
            reason=player.reason,
            tick=player.ticks,
            chunks=player.target.chunks if player.target is not None and player.playing else 0,
            chunk_age=float(age_s) if np.isfinite(age_s) else -1.0,
            inference_time=self.policy.inference_s,
            overruns=self._own_overruns,
            holds=player.holds,
            refused=player.refused,
            takeovers=player.takeovers,
        )
        set_stamp(message.header.stamp, now_ns)
        return message

    def _publish_state(self, message: PlayerState, now_ns: int) -> None:
        """At every tick of a rollout; twice a second, and when something has changed, else."""
        shown = (message.state, message.reason)
        if shown != self._shown:
            self.get_logger().info(f"{Stage(message.state).name} {message.reason}".rstrip())
        elif message.state == Stage.IDLE and 0 <= now_ns - self._shown_ns < IDLE_PERIOD_NS:
            return
        self._shown, self._shown_ns = shown, now_ns
        self._state.publish(message)

    def _diagnose(self) -> Findings:
        now_ns = self.time.now_ns()
        with self._lock:
            findings, values = of_player(self._state_message(now_ns))
        rate_hz = self._tick_rate.per_s(self._ticks, now_ns)
        return findings, {**values, "tick rate (Hz)": number(rate_hz, 1)}

    # -- messages ---------------------------------------------------------------------------

    def _on_chunk(self, message: JointTrajectory) -> None:
        refusal = ""
        try:
            stamp, rows = read_chunk(message, self._dt_ns)
            with self._lock:
                alone = message.header.frame_id == ALONE
                refusal = self.rollout.add(stamp, rows, self.time.now_ns(), alone)
        except ChunkRefused as broken:
            refusal = str(broken)
            with self._lock:
                self.rollout.refuse(self.time.now_ns(), refusal)
        if refusal:
            self.get_logger().warning(f"chunk refused: {refusal}", throttle_duration_sec=1.0)

    def _on_safety(self, message: SafetyState) -> None:
        self._e_stop = message.cause if message.e_stopped else ""

    def _on_takeover(self, _: Any, response: Any) -> Any:
        with self._lock:
            response.message = self.rollout.take_over()
        response.success = not response.message
        return response

    def _on_release(self, _: Any, response: Any) -> Any:
        with self._lock:
            response.message = self.rollout.hand_back()
        response.success = not response.message
        return response

    # -- the action -------------------------------------------------------------------------

    def _roll_out(self, goal: ServerGoalHandle) -> Rollout.Result:
        if not self._one.acquire(blocking=False):
            goal.abort()
            return Rollout.Result(message="a rollout is under way; cancel it first")
        try:
            return RolloutStory(self, goal, self._clients_asked, self._ending).run()
        finally:
            self._one.release()

    def other_commanders(self) -> str:
        """Who else publishes on the followers' commands, by name; or empty."""
        own = self.get_fully_qualified_name()
        names = {
            f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
            for follower in self._commands
            for publisher in self.get_publishers_info_by_topic(f"/{follower}/command")
        }
        return " and ".join(sorted(names - {own}))

    def forget_last(self) -> None:
        """What the last rollout did and why it ended is of no meaning to the next."""
        with self._lock:
            self._overruns_before = None
            self.rollout.forget()

    def start_rollout(self) -> None:
        """To the start."""
        with self._lock:
            self._overruns_before, self._over = self._overruns, False
            self.rollout.start(self._to_start)

    def play(self) -> int:
        """Chunks count from now (returned, ns) on."""
        with self._lock:
            now_ns = self.time.now_ns()
            self.rollout.play(now_ns)
        self.task.begin()
        return now_ns

    def finish_rollout(self) -> dict[str, int]:
        """Followers come to rest, then nothing is sent any more; figures as in Rollout.Result."""
        with self._lock:
            player = self.rollout
            figures = {
                "ticks": player.ticks,
                "overruns": self._own_overruns,
                "holds": player.holds,
                "refused": player.refused,
                "takeovers": player.takeovers,
            }
            self._over = True
            player.hand_back()
            moving = player.playing
        if moving:
            self.time.sleep(REST_S, self._ending)
        with self._lock:
            if player.stage != Stage.IDLE:
                player.stop()
        return figures

    @property
    def _own_overruns(self) -> int:
        """Since the rollout began to move."""
        before = self._overruns_before
        return 0 if before is None else self._overruns - before

    @property
    def task_done(self) -> bool:
        """Whether the task's success is to end it now."""
        return self._end_on_success and self.task.succeeded

    def feedback(self) -> Rollout.Feedback:
        """As things are now."""
        with self._lock:
            state = self._state_message(self.time.now_ns())
        return Rollout.Feedback(
            **{name: getattr(state, name) for name in Rollout.Feedback.get_fields_and_field_types()}
        )


def main(args: list[str] | None = None) -> int:
    """The process `chunk_player`."""
    return run(ChunkPlayer, args, executor=lambda: LeanExecutor(workers=6))


if __name__ == "__main__":
    sys.exit(main())

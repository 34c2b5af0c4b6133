"""Rollouts of a policy through a running graph, one per seed of the task."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aloha_interfaces.action import Rollout
from aloha_interfaces.msg import PlayerState, TaskState
from aloha_interfaces.srv import ResetTask
from rclpy.action import ActionClient

from aloha_stack.nodes._command_watch import CommandWatch
from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.nodes._qos import JOINTS
from aloha_stack.robot.description import load_robot

if TYPE_CHECKING:
    from aloha_stack.nodes.session import Session

FIGURES = ("overruns", "holds", "refused", "duration")
TELL_S = 0.5
SILENT_S = 60.0
"""Wall time without a word from the player after which it counts as dead."""

HOMING_S = 0.001
"""A rollout that ends before it moves anything: it loads, and brings the arms to their start."""

SETTLED_S = 0.4
"""ROS time after the objects were placed: they have come to rest, and no picture of what was before
is young enough to be seen (the policy node's max_image_age)."""


class RolloutsFailed(RuntimeError):
    """The graph cannot go on with the next rollout; the message says why."""


class Rollouts:
    """For the thread of a session."""

    def __init__(self, session: "Session", step_s: float, tell: Callable[..., None]) -> None:
        self._session, self._step_s, self._tell = session, step_s, tell
        self._client: Any = ActionClient(session, Rollout, "/chunk_player/rollout")
        self._last: PlayerState | None = None
        self._heard_s = time.monotonic()
        robot = load_robot("twin", {"ALOHA_PORTS": "none"})
        self._watch = CommandWatch(session, robot, step_s)
        self._reward = RewardWatch(step_s)
        session.create_subscription(PlayerState, "/chunk_player/state", self._on_state, JOINTS)
        session.create_subscription(TaskState, "/task/state", self._on_task, JOINTS)

    def run(self, index: int, seed: int) -> dict[str, Any]:
        """The arms go to their start, the objects to theirs, then the policy acts."""
        session, options = self._session, self._session.options
        first = options.checkpoint if index == 0 else ""
        homing = self._result(Rollout.Goal(checkpoint=first, duration=HOMING_S))
        if not homing.completed:
            raise RolloutsFailed(f"the followers did not get to their start: {homing.message}")
        self._place(seed)
        goal = Rollout.Goal(
            task=session.known_task().task,
            seed=seed,
            duration=options.steps * self._step_s,
            record=options.record,
        )
        result = self._result(goal, lambda: self._tell_progress(index, seed))
        check, success = self._watch.check(), result.outcome == "success"
        return {
            "seed": seed,
            "success": success,
            "ticks": (self._reward.ticks or result.ticks) if success else 0,
            "reward": self._reward.best,
            "real_time_factor": self._watch.real_time_factor,
            "message": result.message,
            "path": result.episode,
            "held_s": self._watch.held_s,
            "inference_s": self._watch.inference_s(),
            "delay_s": self._watch.delays_s(),
            **asdict(check),
            **{name: getattr(result, name) for name in FIGURES},
        }

    # -- parts ------------------------------------------------------------------------------

    def _place(self, seed: int) -> None:
        session = self._session
        episode = session.known_task().episode
        session.call(session.reset, ResetTask.Request(seed=seed), "/twin/reset")
        session.wait(f"the world of seed {seed}", lambda: session.known_task().episode != episode)
        until_ns = stamp_ns(session.known_task().header.stamp) + round(SETTLED_S * 1e9)
        session.wait(
            f"the objects of seed {seed} to lie still",
            lambda: stamp_ns(session.known_task().header.stamp) >= until_ns,
        )

    def _result(
        self, goal: Rollout.Goal, look: Callable[[], None] = lambda: None
    ) -> Rollout.Result:
        session = self._session
        session.wait("the player", self._client.server_is_ready)
        self._told_s, self._heard_s = 0.0, time.monotonic()
        self._watch.begin()
        self._reward.begin()
        sent = self._client.send_goal_async(goal)
        session.wait("the player's answer", sent.done)
        asked = sent.result().get_result_async()
        while not asked.done():
            session.look()
            look()
            if time.monotonic() - self._heard_s > SILENT_S:
                raise RolloutsFailed(f"nothing from the player for {SILENT_S:g} s")
        result: Rollout.Result = asked.result().result
        return result

    def _tell_progress(self, index: int, seed: int) -> None:
        if time.monotonic() - self._told_s <= TELL_S:
            return
        self._told_s = time.monotonic()
        task, last, first_ns = self._session.known_task(), self._last, self._watch.first_ns
        elapsed_s = (stamp_ns(task.header.stamp) - first_ns) * 1e-9 if first_ns else 0.0
        self._tell(
            "progress",
            index=index,
            seed=seed,
            elapsed=max(0.0, elapsed_s),
            length=self._session.options.steps * self._step_s,
            reward=self._reward.best,
            max_reward=task.max_reward,
            real_time_factor=task.real_time_factor,
            inference_time=0.0 if last is None else last.inference_time,
            reason="" if last is None else last.reason,
        )

    def _on_state(self, message: PlayerState) -> None:
        self._last, self._heard_s = message, time.monotonic()

    def _on_task(self, message: TaskState) -> None:
        self._reward.add(message, self._watch.first_ns)


class RewardWatch:
    """The task's reward at the ticks of a rollout, as gym-aloha counts it."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self.begin()

    def begin(self) -> None:
        """What was before is forgotten."""
        self.best = self.ticks = 0

    def add(self, message: TaskState, first_ns: int) -> None:
        """Counts from the rollout's first tick, `first_ns`, on; 0 before it."""
        passed_s = (stamp_ns(message.header.stamp) - first_ns) * 1e-9
        if not first_ns or passed_s < 0 or self.ticks:
            return
        self.best = max(self.best, message.reward)
        if 0 < message.max_reward <= message.reward:
            self.ticks = max(1, round(passed_s / self._step_s))

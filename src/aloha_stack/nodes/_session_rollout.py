"""Rollouts of a policy through a running graph, one per seed of the task."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aloha_interfaces.action import Rollout
from aloha_interfaces.msg import PlayerState
from aloha_interfaces.srv import ResetTask
from rclpy.action import ActionClient

from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.nodes._qos import JOINTS

if TYPE_CHECKING:
    from aloha_stack.nodes.session import Session

PLAYED = frozenset(
    (PlayerState.PLAYING, PlayerState.HOLDING, PlayerState.MATCHING, PlayerState.HUMAN)
)
TELL_S = 0.5
SILENT_S = 60.0
"""Wall time without a word from the player after which it counts as dead."""

HOMING_S = 0.001
"""A rollout that ends before it moves anything: it loads, and brings the arms to their start."""


class RolloutsFailed(RuntimeError):
    """The graph cannot go on with the next rollout; the message says why."""


class Rollouts:
    """For the thread of a session."""

    def __init__(self, session: "Session", step_s: float, tell: Callable[..., None]) -> None:
        self._session, self._step_s, self._tell = session, step_s, tell
        self._client: Any = ActionClient(session, Rollout, "/chunk_player/rollout")
        self._last: PlayerState | None = None
        self._first: PlayerState | None = None
        self._played: PlayerState | None = None
        self._heard_s = time.monotonic()
        session.create_subscription(PlayerState, "/chunk_player/state", self._on_state, JOINTS)

    def run(self, index: int, seed: int) -> dict[str, Any]:
        """The arms go to their start, the objects to theirs, then the policy acts."""
        session, options = self._session, self._session.options
        first = options.checkpoint if index == 0 else ""
        homing = self._result(Rollout.Goal(checkpoint=first, duration=HOMING_S))
        if not homing.completed:
            raise RolloutsFailed(f"the followers did not get to their start: {homing.message}")
        episode = session.known_task().episode
        session.call(session.reset, ResetTask.Request(seed=seed), "/twin/reset")
        session.wait(f"the world of seed {seed}", lambda: session.known_task().episode != episode)
        self._index, self._seed, self._succeeded = index, seed, 0
        goal = Rollout.Goal(
            task=session.known_task().task,
            seed=seed,
            duration=options.steps * self._step_s,
            record=options.record,
        )
        result = self._result(goal, self._watch)
        success = result.outcome == "success"
        return {
            "seed": seed,
            "success": success,
            "ticks": (self._succeeded or result.ticks) if success else 0,
            "reward": session.known_task().best_reward,
            "real_time_factor": session.known_task().real_time_factor,
            "message": result.message,
            "path": result.episode,
            "gaps": self._gaps(),
            "inference_time": 0.0 if self._last is None else self._last.inference_time,
        } | {name: getattr(result, name) for name in ("overruns", "holds", "refused", "duration")}

    # -- parts ------------------------------------------------------------------------------

    def _result(self, goal: Rollout.Goal, watch: Any = lambda: None) -> Rollout.Result:
        session = self._session
        session.wait("the player", self._client.server_is_ready)
        self._first, self._told_s, self._heard_s = None, 0.0, time.monotonic()
        sent = self._client.send_goal_async(goal)
        session.wait("the player's answer", sent.done)
        asked = sent.result().get_result_async()
        while not asked.done():
            session.look()
            watch()
            if time.monotonic() - self._heard_s > SILENT_S:
                raise RolloutsFailed(f"nothing from the player for {SILENT_S:g} s")
        result: Rollout.Result = asked.result().result
        return result

    def _watch(self) -> None:
        """Tells how it goes, and notices the moment of success."""
        task, last, first = self._session.known_task(), self._last, self._first
        elapsed_s = 0.0
        if first is not None:
            elapsed_s = (stamp_ns(task.header.stamp) - stamp_ns(first.header.stamp)) * 1e-9
            if not self._succeeded and 0 < task.max_reward <= task.best_reward:
                self._succeeded = max(1, round(elapsed_s / self._step_s))
        if time.monotonic() - self._told_s > TELL_S:
            self._told_s = time.monotonic()
            self._tell(
                "progress",
                index=self._index,
                seed=self._seed,
                elapsed=max(0.0, elapsed_s),
                length=self._session.options.steps * self._step_s,
                reward=task.best_reward,
                max_reward=task.max_reward,
                real_time_factor=task.real_time_factor,
                inference_time=0.0 if last is None else last.inference_time,
                reason="" if last is None else last.reason,
            )

    def _gaps(self) -> int:
        """Periods of the rollout without a tick, from the player's own count and its stamps."""
        first, last = self._first, self._played
        if first is None or last is None:
            return 0
        passed_ns = stamp_ns(last.header.stamp) - stamp_ns(first.header.stamp)
        return max(0, round(passed_ns * 1e-9 / self._step_s) - int(last.tick - first.tick))

    def _on_state(self, message: PlayerState) -> None:
        self._last, self._heard_s = message, time.monotonic()
        if message.state in PLAYED and message.tick > 0:
            if self._first is None:
                self._first = message
            self._played = message

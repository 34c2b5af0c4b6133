"""One rollout from its goal to its result, told as a story."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aloha_interfaces.action import RecordEpisode, Rollout
from aloha_interfaces.srv import LoadPolicy, StopRecording
from rclpy.action import ActionClient
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from aloha_stack.nodes._chunks import EVEN

if TYPE_CHECKING:
    from aloha_stack.nodes.chunk_player import ChunkPlayer

LOOK_S = 0.02
FEEDBACK_S = 0.2
ANSWER_S = 10.0
LOADING_S = 120.0
CLOSING_S = 65.0
"""Steady time for which an answer is waited for: usually, while a policy is loaded and warmed up,
while a slow disk takes an episode."""


USED = (
    "the task was under way when it began, so that nobody can tell whether it succeeded; put the "
    "objects back before (the twin: ./aloha call /twin/reset)"
)


class RolloutFailed(RuntimeError):
    """What did not come about, and why."""


class Clients:
    """Whom a rollout asks: the policy, and the recorder."""

    def __init__(self, node: Node) -> None:
        self.load = node.create_client(LoadPolicy, "/policy/load")
        self.run = node.create_client(SetBool, "/policy/run")
        self.record: Any = ActionClient(node, RecordEpisode, "/recorder/record_episode")
        self.check = node.create_client(Trigger, "/recorder/check")
        self.stop = node.create_client(StopRecording, "/recorder/stop")


class RolloutStory:
    """For the thread that serves the goal."""

    def __init__(
        self, node: "ChunkPlayer", goal: ServerGoalHandle, clients: Clients, leaving: Any
    ) -> None:
        self._node, self._goal, self._clients = node, goal, clients
        self._leaving: threading.Event = leaving
        self._recording: Any = None
        self._told_s = 0.0
        self._started_ns: int | None = None

    def run(self) -> Rollout.Result:
        """All of it. The goal succeeds if the rollout came to its limit or the task was done."""
        message, episode = "", ""
        completed = False
        self._node.forget_last()
        try:
            self._prepare()
            completed = self._play()
        except RolloutFailed as failure:
            message = str(failure)
        if self._started_ns is not None and not self._node.task.fresh:
            message = "; ".join(filter(None, (USED, message)))
        duration_s, outcome = self._played_s(), self._node.task.end()
        if outcome == "failure" and not completed:
            outcome = ""  # it was cut short: nobody can tell
        figures = self._node.finish_rollout()
        self._ask_quietly(self._clients.run, SetBool.Request(data=False))
        if self._recording is not None:
            episode, words = self._end_recording(outcome)
            message = "; ".join(filter(None, (message, words)))
        if self._goal.is_cancel_requested:
            self._goal.canceled()
        elif completed:
            self._goal.succeed()
        else:
            self._goal.abort()
        return Rollout.Result(
            completed=completed,
            outcome=outcome,
            duration=duration_s,
            episode=episode,
            message=message,
            **figures,
        )

    # -- chapters ---------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Everything up to the moment from which on chunks count."""
        others = self._node.other_commanders()
        if others:
            raise RolloutFailed(f"{others} command the followers: end them first")
        goal = self._goal.request
        if goal.checkpoint:
            answer = self._ask(
                self._clients.load, LoadPolicy.Request(checkpoint=goal.checkpoint), LOADING_S
            )
            if not answer.success:
                raise RolloutFailed(f"{goal.checkpoint} was not loaded: {answer.message}")
            if abs(answer.rate / self._node.rate_hz - 1) > EVEN:
                raise RolloutFailed(
                    f"the rate of {goal.checkpoint} is {answer.rate:g} Hz; the player's (rate_hz) "
                    f"is {self._node.rate_hz:g} Hz"
                )
        self._check_others()
        self._node.start_rollout()
        self._wait(
            "the followers to be at their start", lambda: self._node.rollout.ready, LOADING_S
        )
        if goal.record:
            self._begin_recording()
        answer = self._ask(self._clients.run, SetBool.Request(data=True), ANSWER_S)
        if not answer.success:
            raise RolloutFailed(f"the policy does not infer: {answer.message}")
        self._wait("the policy to infer", lambda: self._node.policy.asked, ANSWER_S)

    def _check_others(self) -> None:
        """The policy and the recorder, before anything moves."""
        policy = self._node.policy
        self._wait("the policy", lambda: policy.heard, ANSWER_S)
        self._wait("the policy's checkpoint", lambda: not policy.loading, LOADING_S)
        if policy.missing:
            raise RolloutFailed(f"the policy does not infer: {policy.missing}")
        if self._goal.request.record:
            answer = self._ask(self._clients.check, Trigger.Request(), ANSWER_S)
            if not answer.success:
                raise RolloutFailed(f"no recording: {answer.message}")

    def _play(self) -> bool:
        """Until the limit, the task's end or the goal's; True if it was not cut short."""
        self._started_ns = self._node.play()
        limit_s = self._goal.request.duration
        while not self._goal.is_cancel_requested:
            self._look()
            if limit_s > 0 and self._played_s() >= limit_s:
                return True
            if self._node.task_done:
                return True
        return False

    def _played_s(self) -> float:
        if self._started_ns is None:
            return 0.0
        return max(0, self._node.time.now_ns() - self._started_ns) * 1e-9

    # -- the recording ----------------------------------------------------------------------

    def _begin_recording(self) -> None:
        goal = self._goal.request
        self._wait("the recorder", self._clients.record.server_is_ready, ANSWER_S)
        writing = threading.Event()

        def on_feedback(message: Any) -> None:
            if message.feedback.messages > 0:
                writing.set()

        wanted = RecordEpisode.Goal(task=goal.task, seed=goal.seed, labels=goal.labels)
        sent = self._clients.record.send_goal_async(wanted, feedback_callback=on_feedback)
        self._wait("the recorder's answer", sent.done, ANSWER_S)
        if not sent.result().accepted:
            raise RolloutFailed("the recorder refused the goal; its log says why")
        result = sent.result().get_result_async()
        self._wait("the recording", lambda: writing.is_set() or result.done(), ANSWER_S)
        if result.done():
            raise RolloutFailed(f"no recording: {result.result().result.message}")
        self._recording = result

    def _end_recording(self, outcome: str) -> tuple[str, str]:
        """The episode's path, and what was not as it should be."""
        self._ask_quietly(self._clients.stop, StopRecording.Request(outcome=outcome))
        until_s = time.monotonic() + CLOSING_S
        while not self._recording.done():
            if time.monotonic() > until_s or self._leaving.wait(LOOK_S):
                return "", "the recording was not closed in time"
        result = self._recording.result().result
        return result.path, result.message

    # -- asking and waiting -----------------------------------------------------------------

    def _look(self) -> None:
        """A moment passes. Raises RolloutFailed if there is nothing to go on with."""
        if self._leaving.wait(LOOK_S):
            raise RolloutFailed("the player ends")
        if self._node.rollout.ended:
            raise RolloutFailed(self._node.rollout.ended)
        if time.monotonic() - self._told_s >= FEEDBACK_S:
            self._told_s = time.monotonic()
            self._goal.publish_feedback(self._node.feedback())

    def _wait(self, what: str, condition: Callable[[], bool], limit_s: float) -> None:
        until_s = time.monotonic() + limit_s
        while not condition():
            self._look()
            if self._goal.is_cancel_requested:
                raise RolloutFailed("cancelled")
            if time.monotonic() > until_s:
                reason = self._node.rollout.reason or "it did not come"
                raise RolloutFailed(f"waited {limit_s:g} s for {what}: {reason}")

    def _ask(self, client: Any, request: Any, limit_s: float) -> Any:
        self._wait(f"the service {client.srv_name}", client.service_is_ready, ANSWER_S)
        future = client.call_async(request)
        self._wait(f"the answer of {client.srv_name}", future.done, limit_s)
        return future.result()

    def _ask_quietly(self, client: Any, request: Any) -> None:
        """On the way out: whoever does not answer is left alone."""
        if client.service_is_ready():
            future = client.call_async(request)
            until_s = time.monotonic() + ANSWER_S
            while not future.done() and time.monotonic() < until_s:
                if self._leaving.wait(LOOK_S):
                    return

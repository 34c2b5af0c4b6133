"""Whom a rollout depends on: the policy's node, and a world that can tell success."""

import time

from aloha_interfaces.msg import PolicyState, TaskState
from rclpy.node import Node

from aloha_stack.nodes._qos import JOINTS, STATE

GONE_S = 1.0
"""Steady time without a word from the policy after which it counts as gone."""


class PolicyLink:
    """What the policy's node says of itself."""

    def __init__(self, node: Node) -> None:
        self._last: PolicyState | None = None
        self._heard_s = -float("inf")
        node.create_subscription(PolicyState, "/policy/state", self._on_state, STATE)

    def _on_state(self, message: PolicyState) -> None:
        self._last, self._heard_s = message, time.monotonic()

    @property
    def asked(self) -> bool:
        """Whether it does what it was asked: it infers, or says why it cannot."""
        return self._last is not None and self._last.state in (
            PolicyState.INFERRING,
            PolicyState.STOPPED,
        )

    @property
    def heard(self) -> bool:
        """Whether it ever said anything."""
        return self._last is not None

    @property
    def loading(self) -> bool:
        """Whether it says that it will have a checkpoint soon."""
        loads = self._last is not None and self._last.state == PolicyState.LOADING
        return loads and time.monotonic() - self._heard_s <= GONE_S

    @property
    def missing(self) -> str:
        """Why there is nothing to ask for chunks; empty if there is."""
        if self._last is None:
            return "no policy is running"
        if time.monotonic() - self._heard_s > GONE_S:
            return f"the policy is gone: no state for {GONE_S:g} s"
        if self._last.state == PolicyState.UNLOADED:
            return self._last.reason or "no checkpoint is loaded"
        return ""

    @property
    def inference_s(self) -> float:
        """How long its last chunk took."""
        return 0.0 if self._last is None else float(self._last.inference_time)

    @property
    def problem(self) -> str:
        """Why its chunks must not be followed; empty while they may."""
        missing = self.missing
        if self._last is None or missing:
            return missing
        if self._last.state != PolicyState.INFERRING:
            return self._last.reason or "the policy does not infer"
        return ""


class TaskLink:
    """The reward, where a world tells it; never a part of what a policy sees.

    A world in which something was achieved already when the rollout began tells nothing of it.
    """

    def __init__(self, node: Node) -> None:
        self._last: TaskState | None = None
        self._counts = self.succeeded = False
        self.fresh = False
        """Whether nothing was achieved yet in the world, if there is one, when it last began."""
        node.create_subscription(TaskState, "/task/state", self._on_state, JOINTS)

    def _on_state(self, message: TaskState) -> None:
        self._last = message
        if self._counts and self.fresh and message.max_reward > 0:
            self.succeeded |= message.reward >= message.max_reward

    def begin(self) -> None:
        """Rewards count from now on."""
        self.fresh = self._last is None or self._last.reward <= 0
        self._counts, self.succeeded = True, False

    def end(self) -> str:
        """success or failure since `begin`; empty if nobody can tell."""
        counted, self._counts = self._counts, False
        if not counted or self._last is None or not self.fresh:
            return ""
        return "success" if self.succeeded else "failure"

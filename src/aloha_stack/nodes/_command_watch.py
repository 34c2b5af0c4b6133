"""What the followers were told in a rollout, listened to where it travels: gaps, jumps, delays."""

import threading
import time
from functools import partial

import numpy as np
from aloha_interfaces.msg import PlayerState
from rclpy.node import Node
from rclpy.qos import QoSProfile
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control.chunks import ChunkBroken
from aloha_stack.control.stream_check import StreamCheck, check_stream, roughness
from aloha_stack.nodes._chunks import NAMES, read_chunk
from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import JOINTS

PLAYED = frozenset(
    (PlayerState.PLAYING, PlayerState.HOLDING, PlayerState.MATCHING, PlayerState.HUMAN)
)
QUEUE = QoSProfile(depth=500)
"""Reliable, and ten seconds deep: what this process is late for is not lost."""


class CommandWatch:
    """Listens to commands, chunks and the player's state from its making on."""

    def __init__(self, node: Node, robot: Robot, period_s: float) -> None:
        self._arms, self._period_s = robot.followers, period_s
        self._lock = threading.Lock()
        self.begin()
        for arm in self._arms:
            hear = partial(self._on_command, arm.name)
            node.create_subscription(JointTrajectory, f"/{arm.name}/command", hear, QUEUE)
        node.create_subscription(JointTrajectory, "/policy/chunk", self._on_chunk, QUEUE)
        node.create_subscription(PlayerState, "/chunk_player/state", self._on_state, QUEUE)

    def begin(self) -> None:
        """A rollout begins: what was before is forgotten."""
        with self._lock:
            self._commands: dict[str, list[tuple[int, np.ndarray]]] = {}
            self._rough = np.zeros(len(NAMES))
            self._first_ns = self._last_ns = 0
            self._first_s = self._last_s = 0.0
            self._age_s = -1.0
            self._held = 0
            self._inference_s: list[float] = []
            self._delays_s: list[float] = []

    # -- messages ---------------------------------------------------------------------------

    def _on_command(self, arm: str, message: JointTrajectory) -> None:
        target = (stamp_ns(message.header.stamp), np.array(message.points[0].positions))
        with self._lock:
            self._commands.setdefault(arm, []).append(target)

    def _on_chunk(self, message: JointTrajectory) -> None:
        try:
            _, rows = read_chunk(message, round(self._period_s * 1e9))
        except ChunkBroken:  # the player tells of it
            return
        with self._lock:
            self._rough = np.maximum(self._rough, roughness([rows], len(NAMES)))

    def _on_state(self, message: PlayerState) -> None:
        if message.state not in PLAYED or message.tick == 0:
            return
        with self._lock:
            self._last_ns, self._last_s = stamp_ns(message.header.stamp), time.monotonic()
            if not self._first_ns:
                self._first_ns, self._first_s = self._last_ns, self._last_s
            self._held += message.state == PlayerState.HOLDING
            if 0 <= message.chunk_age < self._age_s or self._age_s < 0 <= message.chunk_age:
                self._delays_s.append(message.chunk_age)
            self._age_s = message.chunk_age
            if message.inference_time not in self._inference_s[-1:]:
                self._inference_s.append(message.inference_time)

    # -- what was found ---------------------------------------------------------------------

    @property
    def first_ns(self) -> int:
        """When the rollout's first tick was, ROS time; 0 before it."""
        return self._first_ns

    @property
    def last_ns(self) -> int:
        """When its last tick was; 0 before the first."""
        return self._last_ns

    @property
    def real_time_factor(self) -> float:
        """ROS time per wall time, over the rollout."""
        passed_s = self._last_s - self._first_s
        return (self._last_ns - self._first_ns) * 1e-9 / passed_s if passed_s > 0 else 0.0

    def check(self) -> StreamCheck:
        """Of the rollout's own ticks, all followers together: an arm's worst counts for gaps."""
        with self._lock:
            found = [
                self._check(arm.name, number, arm.limits.velocity)
                for number, arm in enumerate(self._arms)
            ]
        return StreamCheck(
            min(one.commands for one in found),
            max(one.gaps for one in found),
            max(one.longest_s for one in found),
            sum(one.jumps for one in found),
            max(one.off for one in found),
        )

    def _check(self, arm: str, number: int, velocity: np.ndarray) -> StreamCheck:
        columns = slice(number * len(JOINTS), (number + 1) * len(JOINTS))
        heard = self._commands.get(arm, ())
        within = [one for one in heard if self._first_ns <= one[0] <= self._last_ns]
        within.sort(key=lambda one: one[0])
        stamps, positions = [one[0] for one in within], [one[1] for one in within]
        return check_stream(stamps, positions, self._period_s, velocity, self._rough[columns])

    @property
    def held_s(self) -> float:
        """For how long the followers held, for want of a chunk: ROS time."""
        return self._held * self._period_s

    def inference_s(self) -> list[float]:
        """How long chunks took, as the player heard of them (ten times a second): wall time."""
        with self._lock:
            return list(self._inference_s)

    def delays_s(self) -> list[float]:
        """From the observations of chunks to the ticks at which they counted first: ROS time."""
        with self._lock:
            return list(self._delays_s)

"""A robot and a policy that are stood in for, around a real chunk_player: for tests."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from aloha_interfaces.action import RecordEpisode, Rollout
from aloha_interfaces.msg import ArmStatus, PlayerState, PolicyState, TaskState
from aloha_interfaces.srv import LoadPolicy, StopRecording
from rclpy.action import ActionClient, ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes._chunks import chunk_message
from aloha_stack.nodes._conversions import set_stamp, stamp_ns
from aloha_stack.nodes.chunk_player import ChunkPlayer
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import ARMS, FOLLOWERS, JOINTS, LEADERS, leader_of
from nodes.arm_rig import LATCHED, call, ros, spinning, wait_for, with_parameters

DT_NS = 20_000_000


class Rig(Node):
    """Followers that are where they are sent, leaders where they are put, a policy that moves the
    waists at `speed` rad/s, and a recorder; everything as nodes, in this process."""

    def __init__(self) -> None:
        super().__init__("rig")
        self.robot = load_robot("twin")
        self.position = {name: self.robot.arm(name).start_pose.copy() for name in ARMS}
        self.mode = {n: Mode.BACK_DRIVEN if n in LEADERS else Mode.FOLLOWING for n in ARMS}
        self.commands: list[tuple[int, np.ndarray]] = []
        self.states: list[PlayerState] = []
        self.speed, self.problem, self.infers, self.silent = 0.2, "", False, False
        self.thinks_s, self.rows, self.rate_hz = 0.0, 50, 50.0
        self.refuses, self.unloaded = "", False
        self._thought: tuple[int, JointTrajectory] | None = None
        self.outcomes: list[str] = []
        group = ReentrantCallbackGroup()
        for arm in FOLLOWERS:
            self.create_subscription(
                JointTrajectory, f"/{arm}/command", partial(self._on_command, arm), 1
            )
        self.create_subscription(PlayerState, "/chunk_player/state", self.states.append, 100)
        self._joints = {
            arm: self.create_publisher(JointState, f"/{arm}/joint_states", 5) for arm in ARMS
        }
        self._status = {
            arm: self.create_publisher(ArmStatus, f"/{arm}/status", LATCHED) for arm in ARMS
        }
        self._chunks = self.create_publisher(JointTrajectory, "/policy/chunk", 5)
        self._policy = self.create_publisher(PolicyState, "/policy/state", LATCHED)
        self.create_service(LoadPolicy, "/policy/load", self._load, callback_group=group)
        self.create_service(SetBool, "/policy/run", self._run, callback_group=group)
        self._recorded = threading.Event()
        self._recorder = ActionServer(
            self, RecordEpisode, "/recorder/record_episode", self._record, callback_group=group
        )
        self.create_service(Trigger, "/recorder/check", self._check, callback_group=group)
        self.create_service(StopRecording, "/recorder/stop", self._stop, callback_group=group)
        self.recorder_says = ""
        self._world = self.create_publisher(TaskState, "/task/state", 5)
        self.world: TaskState | None = None
        self.client = ActionClient(self, Rollout, "/chunk_player/rollout")
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._recorded.set()
        self._thread.join()

    def _live(self) -> None:
        count = 0
        while not self._end.wait(0.02):
            count += 1
            now_ns = self.now_ns
            for arm in ARMS:
                message = JointState(name=list(JOINTS), position=self.position[arm].tolist())
                set_stamp(message.header.stamp, now_ns)
                self._joints[arm].publish(message)
                if count % 5 == 0:
                    self._status[arm].publish(ArmStatus(arm=arm, mode=int(self.mode[arm])))
            if self.world is not None:
                self._world.publish(self.world)
            if count % 5 == 0 and not self.silent:
                stage = PolicyState.READY
                if self.unloaded:
                    stage = PolicyState.UNLOADED
                elif self.infers:
                    stage = PolicyState.STOPPED if self.problem else PolicyState.INFERRING
                self._policy.publish(PolicyState(state=stage, reason=self.problem))
            if count % 5 == 0 and self.infers and not self.problem and not self.silent:
                self.infer(now_ns)

    def infer(self, now_ns: int) -> None:
        """A chunk of what is seen now; the slower the policy, the later it is sent."""
        if self._thought is None:
            here = np.concatenate([self.position[name] for name in FOLLOWERS])
            rows = np.tile(here, (self.rows, 1))
            rows[:, [0, 7]] += np.arange(self.rows)[:, None] * self.speed * 0.02
            self._thought = (now_ns, chunk_message(rows, DT_NS, now_ns))
        since_ns, message = self._thought
        if now_ns - since_ns >= self.thinks_s * 1e9:
            self._thought = None
            self.send(message)

    def send(self, message: JointTrajectory) -> None:
        self._chunks.publish(message)

    @property
    def now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    @property
    def state(self) -> int:
        return self.states[-1].state if self.states else -1

    def hands(self, opening: float) -> None:
        """The leaders where the followers are."""
        for name in FOLLOWERS:
            leader = self.robot.arm(leader_of(name))
            place = self.position[name].copy()
            place[-1] = leader.gripper.unnormalise_joint(opening)
            self.position[leader.name] = place

    def ask(self, **goal: Any) -> Any:
        """Sends a goal; its handle."""
        assert self.client.wait_for_server(10.0)
        sent = self.client.send_goal_async(Rollout.Goal(**goal))
        wait_for(sent.done)
        return sent.result()

    def result(self, handle: Any) -> Rollout.Result:
        future = handle.get_result_async()
        wait_for(future.done, 30.0)
        return future.result().result

    def _on_command(self, arm: str, message: JointTrajectory) -> None:
        self.position[arm] = np.array(message.points[0].positions)
        if arm == "follower_left":
            self.commands.append((stamp_ns(message.header.stamp), self.position[arm]))

    def _load(self, request: Any, response: Any) -> Any:
        response.success, response.message = not self.refuses, self.refuses
        response.rate = self.rate_hz
        return response

    def _run(self, request: Any, response: Any) -> Any:
        self.infers = request.data
        response.success = True
        return response

    def _check(self, request: Any, response: Any) -> Any:
        response.success, response.message = not self.recorder_says, self.recorder_says
        return response

    def _record(self, goal: Any) -> RecordEpisode.Result:
        goal.publish_feedback(RecordEpisode.Feedback(messages=1))
        self._recorded.wait(20.0)
        goal.succeed()
        return RecordEpisode.Result(kept=True, path="episodes/episode_000000")

    def _stop(self, request: Any, response: Any) -> Any:
        self.outcomes.append(request.outcome)
        self._recorded.set()
        response.success = True
        return response

    def call(self, service: str) -> Any:
        return call(self, f"/chunk_player/{service}")


@contextlib.contextmanager
def rollout_rig(**parameters: Any) -> Iterator[Rig]:
    """The rig beside a player, both alive."""
    with ros(), patch.dict(os.environ, ALOHA_PORTS="none"):
        player = ChunkPlayer(parameter_overrides=with_parameters(robot="twin", **parameters))
        rig = Rig()
        with spinning(rig), spinning(player):
            try:
                wait_for(lambda: rig.states)
                time.sleep(0.2)
                yield rig
            finally:
                player.close()
                player.time.close()
                rig.close()
        for node in (rig, player):
            node.destroy_node()

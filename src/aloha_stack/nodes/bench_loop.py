"""Stands in for a robot's arms and their safety node, and has chunk_player make one rollout.

    bench_loop --robot FILE --seconds S --out FILE

Followers are where they are sent. Once the policy is ready, a rollout of S seconds is asked for;
`began` and `ended` are told in lines of JSON, `ended` with what was found. --out gets the ticks:
(n, 2) int64, of each its command's stamp and when that was heard, ns. Then the process ends.
"""

import argparse
import json
import sys
import threading
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from aloha_interfaces.action import Rollout
from aloha_interfaces.msg import ArmStatus, PolicyState, SafetyState
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.bench.loop_ticks import RATE_HZ
from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes import _qos
from aloha_stack.nodes._command_watch import QUEUE, CommandWatch
from aloha_stack.nodes._conversions import set_stamp, stamp_ns
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.robot.description import Robot, load_robot
from aloha_stack.robot.joints import JOINTS

JOINTS_S, STATUS_EVERY, SAFETY_EVERY = 0.01, 10, 5
"""Steady time between two joint states of an arm; of how many one comes with a status, …"""

LOADED_S, LOOK_S = 180.0, 0.05
"""Steady time within which the policy must be ready; between two looks at how things are."""

FIGURES = ("ticks", "overruns", "holds", "refused")


class LoopBench(SimpleNode):
    """See the module."""

    def __init__(self, robot: Robot, seconds: float, out: Path) -> None:
        super().__init__("bench_loop")
        self._seconds, self._out, self._robot = seconds, out, robot
        self._place = {name: arm.start_pose.tolist() for name, arm in robot.arms.items()}
        self._heard: list[tuple[int, int]] = []
        self._chunks, self._policy = 0, PolicyState()
        self._ending = threading.Event()
        self._watch = CommandWatch(self, robot, 1 / RATE_HZ)
        self._joints = {
            arm: self.create_publisher(JointState, f"/{arm}/joint_states", _qos.JOINTS)
            for arm in robot.arms
        }
        self._status = {
            arm: self.create_publisher(ArmStatus, f"/{arm}/status", _qos.STATE)
            for arm in robot.arms
        }
        self._safety = self.create_publisher(SafetyState, "/safety/state", _qos.STATE)
        for arm in robot.followers:
            hear = partial(self._on_command, arm.name)
            self.create_subscription(JointTrajectory, f"/{arm.name}/command", hear, QUEUE)
        self.create_subscription(JointTrajectory, "/policy/chunk", self._on_chunk, _qos.JOINTS)
        self.create_subscription(PolicyState, "/policy/state", self._on_policy, _qos.STATE)
        self._player = ActionClient(self, Rollout, "/chunk_player/rollout")
        self._threads = [
            self.start_thread(self._live, "arms"),
            self.start_thread(self._measure, "measure"),
        ]

    def close(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    # -- the arms ---------------------------------------------------------------------------

    def _live(self) -> None:
        count, begun_s = 0, time.monotonic()
        while not self._ending.wait(max(0.0, begun_s + count * JOINTS_S - time.monotonic())):
            now_ns = self.time.now_ns()
            for name, publisher in self._joints.items():
                message = JointState(name=list(JOINTS), position=self._place[name])
                set_stamp(message.header.stamp, now_ns)
                publisher.publish(message)
            if count % STATUS_EVERY == 0:
                for name, status in self._status.items():
                    leads = self._robot.arm(name).is_leader
                    mode = Mode.BACK_DRIVEN if leads else Mode.FOLLOWING
                    status.publish(ArmStatus(arm=name, mode=int(mode)))
            if count % SAFETY_EVERY == 0:
                self._safety.publish(SafetyState())
            count += 1

    def _on_command(self, arm: str, message: JointTrajectory) -> None:
        if arm == self._robot.followers[0].name:
            self._heard.append((stamp_ns(message.header.stamp), self.time.now_ns()))
        self._place[arm] = list(message.points[0].positions)

    # -- the rollout ------------------------------------------------------------------------

    def _on_policy(self, message: PolicyState) -> None:
        self._policy = message

    def _on_chunk(self, message: JointTrajectory) -> None:
        self._chunks += 1

    def _measure(self) -> None:
        self._wait(lambda: self._policy.state == PolicyState.READY, "a policy that is ready")
        self._wait(self._player.server_is_ready, "chunk_player")
        goal = Rollout.Goal(task="bench", seed=-1, duration=self._seconds)
        sent = self._player.send_goal_async(goal)
        self._wait(sent.done, "chunk_player's answer")
        asked = sent.result().get_result_async()
        self._wait(lambda: self._watch.first_ns or asked.done(), "the first tick")
        tell("began")
        self._wait(asked.done, "the rollout's end", self._seconds + LOADED_S)
        result = asked.result().result
        if not result.completed:
            raise RuntimeError(f"the rollout ended early: {result.message}")
        first_ns, last_ns = self._watch.first_ns, self._watch.last_ns
        heard = np.array(self._heard, np.int64).reshape(-1, 2)
        within = (first_ns <= heard[:, 0]) & (heard[:, 0] <= last_ns)
        np.save(self._out, heard[within])
        tell(
            "ended",
            chunks=self._chunks,
            held_s=self._watch.held_s,
            inference_s=self._watch.inference_s(),
            **asdict(self._watch.check()),
            **{name: getattr(result, name) for name in FIGURES},
        )
        self.finish()

    def _wait(self, condition: Any, what: str, limit_s: float = LOADED_S) -> None:
        end_s = time.monotonic() + limit_s
        while not condition():
            if self._ending.wait(LOOK_S):
                raise RuntimeError("ended before the rollout was over")
            if time.monotonic() > end_s:
                known = self._policy.reason or "nothing"
                raise RuntimeError(f"waited {limit_s:g} s for {what}; the policy says: {known}")


def tell(event: str, **details: Any) -> None:
    """One line of JSON on standard output."""
    print(json.dumps({"event": event, **details}), flush=True)


def main(argv: list[str] | None = None) -> int:
    """The process `bench_loop`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--robot", required=True, help="robot file")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    robot = load_robot(options.robot)
    return run(lambda: LoopBench(robot, options.seconds, options.out), args=[])


if __name__ == "__main__":
    raise SystemExit(main())

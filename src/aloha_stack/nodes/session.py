"""A client of a running graph: demonstrates, records, replays, rolls out, and tells how it goes.

`./aloha demo` and `./aloha evaluate … --ros` start it as a process. Each line on its standard
output is one JSON object with an `event`: waiting, progress, episode, replayed or failed.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from aloha_interfaces.action import RecordEpisode
from aloha_interfaces.msg import ArmStatus, TaskState, TeleopState
from aloha_interfaces.srv import ResetTask, StopRecording
from rclpy.action import ActionClient
from std_msgs.msg import String
from std_srvs.srv import Trigger

from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._qos import STATE
from aloha_stack.nodes._session_rollout import Rollouts, RolloutsFailed
from aloha_stack.robot.joints import ARMS

PATIENCE_S = 120.0
"""Wall time for which one step of the session is waited for."""

LOOK_S = 0.02
TELL_S = 0.5
CONTROL_STEP_S = 0.02
"""The control step in which gym-aloha counts the length of an episode."""


class SessionFailed(RuntimeError):
    """A step of the session did not come about; the message says which and why."""


class Session(SimpleNode):
    """Runs one scenario in a thread of its own, then ends the process."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__("session")
        self.options = options
        self._task: TaskState | None = None
        self._teleop: TeleopState | None = None
        self._replay = ""
        self._arms: dict[str, ArmStatus] = {}
        self._leaving = threading.Event()
        self.reset = self.create_client(ResetTask, "/twin/reset")
        self._perform = self.create_client(Trigger, "/twin/perform")
        self._start = self.create_client(Trigger, "/replay/start")
        self._stop = self.create_client(StopRecording, "/recorder/stop")
        self._recorder = ActionClient(self, RecordEpisode, "/recorder/record_episode")
        self.create_subscription(TaskState, "/task/state", self._on_task, 5)
        self.create_subscription(TeleopState, "/teleop/state", self._on_teleop, STATE)
        self.create_subscription(String, "/replay/state", self._on_replay, STATE)
        for arm in ARMS:
            self.create_subscription(ArmStatus, f"/{arm}/status", self._on_arm, STATE)
        self._thread = threading.Thread(target=self._guarded, name="session")
        self._thread.start()

    def close(self) -> None:
        self._leaving.set()
        self._thread.join()

    def _on_arm(self, message: ArmStatus) -> None:
        self._arms[message.arm] = message

    def _on_task(self, message: TaskState) -> None:
        self._task = message

    def _on_teleop(self, message: TeleopState) -> None:
        self._teleop = message

    def _on_replay(self, message: String) -> None:
        self._replay = message.data

    def _guarded(self) -> None:
        try:
            self.options.scenario(self)
            self.finish()
        except (SessionFailed, RolloutsFailed) as failure:
            tell("failed", message=str(failure))
            self.fail(failure)
        except BaseException as error:
            tell("failed", message=repr(error))
            self.fail(error)
            raise

    # -- scenarios ------------------------------------------------------------------------------

    def demonstrate(self) -> None:
        """The operator performs the task once per seed; each one may be recorded as an episode."""
        self.wait("the twin", lambda: self._task is not None)
        for index, seed in enumerate(self.options.seeds):
            self.call(self.reset, ResetTask.Request(seed=seed), "/twin/reset")
            self.wait(f"the operator and teleoperation, seed {seed}", partial(self._ready, seed))
            recording = self._begin_recording(seed) if self.options.record else None
            self.call(self._perform, Trigger.Request(), "/twin/perform")
            ticks = self._watch(index, seed)
            task = self.known_task()
            success = 0 < ticks <= self.options.steps
            outcome: dict[str, Any] = {"seed": seed, "success": success, "ticks": ticks}
            outcome |= {"reward": task.best_reward, "real_time_factor": task.real_time_factor}
            if recording is not None:
                outcome |= self._end_recording(recording, success)
            tell("episode", index=index, **outcome)

    def replay(self) -> None:
        """Plays the episode that the graph's replay node holds, in the world of its seed."""
        seed = self.options.seeds[0]
        self.wait("replay to stand at the episode's first pose", lambda: self._replay == "ready")
        self.call(self.reset, ResetTask.Request(seed=seed), "/twin/reset")
        self.wait("the world's reset", lambda: self.known_task().seed == seed)
        self.call(self._start, Trigger.Request(), "/replay/start")
        told_s = 0.0
        while self._replay in ("ready", "playing"):
            self.look()
            if time.monotonic() - told_s > TELL_S:
                told_s = time.monotonic()
                tell("progress", reward=self.known_task().best_reward)
        if self._replay != "done":
            raise SessionFailed(f"the replay ended early: {self._replay}")
        task = self.known_task()
        success = task.best_reward >= task.max_reward
        tell("replayed", seed=seed, reward=task.best_reward, success=success)

    def rollout(self) -> None:
        """A policy performs the task once per seed, through chunk_player."""
        self.wait("the twin", lambda: self._task is not None)
        rollouts = Rollouts(self, CONTROL_STEP_S, tell)
        for index, seed in enumerate(self.options.seeds):
            tell("episode", index=index, **rollouts.run(index, seed))

    # -- parts ----------------------------------------------------------------------------------

    def _ready(self, seed: int) -> bool:
        task, teleop = self.known_task(), self._teleop
        return (
            task.seed == seed
            and task.operator_state == "ready"
            and teleop is not None
            and teleop.state == TeleopState.ENGAGED
        )

    def _watch(self, index: int, seed: int) -> int:
        """Follows one demonstration; the control step at which it succeeded, 0 if it did not."""
        length_s = self.options.steps * CONTROL_STEP_S
        ticks, told_s = 0, 0.0
        while (task := self.known_task()).elapsed < length_s:
            if not ticks and task.elapsed > 0 and task.best_reward >= task.max_reward:
                ticks = max(1, round(task.elapsed / CONTROL_STEP_S))
                if not self.options.record:
                    break
            if time.monotonic() - told_s > TELL_S:
                told_s = time.monotonic()
                tell(
                    "progress",
                    index=index,
                    seed=seed,
                    elapsed=task.elapsed,
                    length=length_s,
                    reward=task.best_reward,
                    max_reward=task.max_reward,
                    real_time_factor=task.real_time_factor,
                )
            self.look()
        return ticks

    def _begin_recording(self, seed: int) -> Any:
        """Sends the goal and waits until messages are being written; the future of its result."""
        self.wait("the recorder", self._recorder.server_is_ready)
        writing = threading.Event()
        goal = RecordEpisode.Goal(task=self.known_task().task, seed=seed)

        def on_feedback(message: Any) -> None:
            if message.feedback.messages > 0:
                writing.set()

        sent = self._recorder.send_goal_async(goal, feedback_callback=on_feedback)
        self.wait("the recorder's answer", sent.done)
        handle = sent.result()
        if not handle.accepted:
            raise SessionFailed("the recorder refused the goal; its log says why")
        result = handle.get_result_async()
        self.wait("the recording to begin", lambda: writing.is_set() or result.done())
        if result.done():
            raise SessionFailed(f"no recording: {result.result().result.message}")
        return result

    def _end_recording(self, recording: Any, success: bool) -> dict[str, Any]:
        request = StopRecording.Request(outcome="success" if success else "failure")
        self.call(self._stop, request, "/recorder/stop")
        self.wait("the episode to be closed", recording.done)
        result = recording.result().result
        if not result.kept:
            raise SessionFailed(f"the episode was not kept: {result.message}")
        return {"path": result.path, "messages": result.messages, "lost": result.lost}

    def known_task(self) -> TaskState:
        if self._task is None:
            raise SessionFailed("no /task/state has come: is the twin running?")
        return self._task

    def look(self) -> None:
        if self._leaving.wait(LOOK_S):
            raise SessionFailed("interrupted")

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Until `condition` holds; a SessionFailed says what was waited for and what is known."""
        began_s, told = time.monotonic(), False
        while not condition():
            self.look()
            waited_s = time.monotonic() - began_s
            if waited_s > 1.0 and not told:
                told = True
                tell("waiting", what=what)
            if waited_s > PATIENCE_S:
                raise SessionFailed(
                    f"waited {PATIENCE_S:.0f} s for {what}; it did not come. {self._known()}"
                )

    def _known(self) -> str:
        """What the graph says of itself, for a failure's message."""
        said = [f"{name}: mode {m.mode} {m.reason}".strip() for name, m in self._arms.items()]
        silent = [arm for arm in ARMS if arm not in self._arms]
        if silent:
            said.append(f"no status from {', '.join(silent)}")
        if self._teleop is not None:
            said.append(f"teleop: state {self._teleop.state} {self._teleop.reason}".strip())
        if self._replay:
            said.append(f"replay: {self._replay}")
        if self._task is not None:
            said.append(f"operator: {self._task.operator_state or 'none'}")
        return "Known: " + "; ".join(said)

    def call(self, client: Any, request: Any, name: str) -> Any:
        self.wait(f"the service {name}", client.service_is_ready)
        future = client.call_async(request)
        self.wait(f"the answer of {name}", future.done)
        response = future.result()
        if not response.success:
            raise SessionFailed(f"{name}: {response.message}")
        return response


def tell(event: str, **details: Any) -> None:
    """One line of JSON on standard output."""
    print(json.dumps({"event": event, **details}), flush=True)


def main(argv: list[str] | None = None) -> int:
    """The process `session`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=("demonstrate", "replay", "rollout"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=400, help="control steps of 20 ms")
    parser.add_argument("--record", action="store_true", help="record each as an episode")
    parser.add_argument("--checkpoint", default="", help="of the policy that is rolled out")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    options.scenario = getattr(Session, options.scenario)
    return run(lambda: Session(options), args=[])


if __name__ == "__main__":
    raise SystemExit(main())

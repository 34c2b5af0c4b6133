"""A trained policy in the graph: what the robot perceives goes in, chunks of targets come out.

It commands nothing: chunk_player merges its chunks and decides whether they are followed. A stream
that is missing or stale stops it, by name, until the stream is there again.
"""

import math
import sys
import threading
import time
from typing import Any

import numpy as np
from aloha_interfaces.msg import PolicyState
from aloha_interfaces.srv import LoadPolicy
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Float64
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.nodes._chosen_cameras import with_chosen_cameras
from aloha_stack.nodes._chunks import chunk_message
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._diagnostics import Findings, NodeDiagnostics, Rate, number
from aloha_stack.nodes._inference import Inference, InferenceSettings
from aloha_stack.nodes._jobs import Refused
from aloha_stack.nodes._node import ManagedNode, logged, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._policy_refusal import Refusal
from aloha_stack.nodes._qos import JOINTS as JOINTS_QOS
from aloha_stack.nodes._qos import STATE
from aloha_stack.nodes._state_diagnostics import POLICY, of_policy
from aloha_stack.policies.policy import PolicyError
from aloha_stack.robot.description import load_robot

TELL_S = 0.1
"""Steady time between two words on ~/state: whoever follows the chunks counts on it."""

UNCONFIGURED = "the policy node is not configured"


class PolicyNode(ManagedNode):
    """Publishes /policy/chunk and /policy/state; serves /policy/load and /policy/run.

    Configured it may load; only active it infers.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("policy", **options)
        name = declare(self, "robot", "aloha", "robot file: a name in config/robots, or a path")
        whole = load_robot(name)
        self._robot = with_chosen_cameras(self, whole)
        self._preload = declare(
            self, "checkpoint", "", "folder of a checkpoint to load at once; empty: when asked to"
        )
        self._settings = InferenceSettings(
            rate_hz=declare(
                self, "rate_hz", 0.0, "chunks per second at most; 0: of each observation", (0, 200)
            ),
            player_hz=declare(
                self,
                "player_rate_hz",
                50.0,
                "rows of chunks, played per second",
                (10, 200),
            ),
            real=declare(
                self,
                "real_inference",
                False,
                "whether chunks take as much ROS time as of the wall's, where /clock is slower",
            ),
            threads=declare(
                self, "threads", 0, "of the network; 0: one fewer than processors", (0, 256)
            ),
            options=declare(
                self, "options", "", "of the policy, as input_param=0.8; several with commas"
            ),
            goal=declare(
                self,
                "goal",
                "",
                "of a policy that goes to one: joints in rad, as left_waist=0.3,right_elbow=0.8; "
                "those left out keep theirs. It may be set while the policy moves the arms",
                read_only=False,
            ),
            device=declare(self, "device", "cpu", "where the network runs: cpu, cuda, cuda:1 …"),
            backend=declare(
                self,
                "backend",
                "auto",
                "how it is computed: eager, fast, int8, or auto, what is best here",
            ),
            unchosen=tuple(name for name in whole.cameras if name not in self._robot.cameras),
            max_image_age_s=declare(
                self, "max_image_age", 0.2, "s; older pictures stop the policy", (0.02, 0.35)
            ),
            max_distance=declare(
                self,
                "max_distance",
                0.0,
                "to demonstrations, of a policy that compares; beyond it nothing moves, 0: any",
                (0, 1e9),
            ),
        )
        self._chunks = self.create_publisher(JointTrajectory, "~/chunk", JOINTS_QOS)
        self._state = self.create_publisher(PolicyState, "~/state", STATE)
        self._distance = self.create_publisher(Float64, "~/distance", JOINTS_QOS)
        group = MutuallyExclusiveCallbackGroup()
        self.create_service(LoadPolicy, "~/load", self._on_load, callback_group=group)
        self.create_service(SetBool, "~/run", self._on_run, callback_group=group)
        self.add_on_set_parameters_callback(self._on_goal)
        self.inference: Inference | None = None
        self._working: threading.Thread | None = None
        self._active = False
        self._refusal = Refusal()
        self._telling = threading.Lock()
        self._told: tuple[int, str] | None = None
        self._chunk_rate = Rate()
        self._diagnostics = NodeDiagnostics(self, "inference", self._diagnose)
        self._ending = threading.Event()
        self._teller = self.start_thread(self._tell_again_and_again, "state")

    # -- life -------------------------------------------------------------------------------

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._refusal.try_again()
        self.inference = inference = Inference(
            self, self._robot, self._settings, self._publish_chunk, self._tell
        )
        self._working = self.start_thread(inference.run, "inference")
        if self._preload:
            answer = self._load(inference, self._preload, LoadPolicy.Response())
            if not answer.success:
                self._end_inference(answer.message)
                return TransitionCallbackReturn.FAILURE
        self._refusal.over()
        return super().on_configure(state)

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = True
        return super().on_activate(state)

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = False
        if self.inference is not None:
            self.inference.stop()
        return super().on_deactivate(state)

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._end_inference()
        return super().on_cleanup(state)

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._end_inference()
        return super().on_shutdown(state)

    def close(self) -> None:
        super().close()
        self._ending.set()
        self._teller.join()

    def _end_inference(self, why: str = "") -> None:
        self._refusal.why = why  # first: nobody may hear that it is unloaded and not why
        inference, self.inference = self.inference, None
        if inference is not None and self._working is not None:
            inference.end()
            self._working.join()

    # -- what it says -----------------------------------------------------------------------

    def _publish_chunk(self, rows: np.ndarray, dt_ns: int, stamp_ns: int, alone: bool) -> None:
        self._chunks.publish(chunk_message(rows, dt_ns, stamp_ns, alone))

    def _tell_again_and_again(self) -> None:
        while not self._ending.wait(TELL_S):
            self._tell()

    def _tell(self) -> None:
        with self._telling:
            message = self._state_message()
            told = (message.state, message.reason if message.state != PolicyState.STOPPED else "")
            if told != self._told and not self._refusal.was_told(message):
                self._told = told
                name = POLICY[message.state].upper()
                words = f"{name} {message.reason or message.checkpoint}".rstrip()
                if self._refusal.why:
                    self.get_logger().error(words)
                else:
                    self.get_logger().info(words)
            self._state.publish(message)
            if math.isfinite(distance := self._compared()):
                self._distance.publish(Float64(data=distance))

    def _compared(self) -> float:
        """Distance of what is seen to demonstrations; NaN while none is known."""
        inference = self.inference
        return math.nan if inference is None else inference.distance

    def _state_message(self) -> PolicyState:
        message, inference = PolicyState(reason=self._refusal.why), self.inference
        set_stamp(message.header.stamp, self.time.now_ns())
        if inference is None:
            return message
        message.checkpoint = inference.checkpoint
        message.inference_time = inference.inference_s
        message.chunks, message.failures = inference.chunks, inference.failures
        message.reason = inference.refused
        if inference.loading:
            message.state = PolicyState.LOADING
        elif inference.inferring:
            message.reason = inference.problem
            message.state = PolicyState.STOPPED if message.reason else PolicyState.INFERRING
        elif inference.policy is not None:
            message.state = PolicyState.READY
        return message

    def _diagnose(self) -> Findings:
        state = self._state_message()
        findings, values = of_policy(state)
        rate_hz = self._chunk_rate.per_s(state.chunks, time.monotonic_ns())
        return findings, {
            **values,
            "chunk rate (Hz)": number(rate_hz, 1),
            "distance to demonstrations": number(self._compared(), 3),
        }

    # -- what it is asked -------------------------------------------------------------------

    def _on_load(
        self, request: LoadPolicy.Request, response: LoadPolicy.Response
    ) -> LoadPolicy.Response:
        inference = self.inference
        if inference is None or self._refusal.before:
            response.message = self._refusal.words(UNCONFIGURED)
            return response
        return self._load(inference, request.checkpoint, response)

    def _load(
        self, inference: Inference, checkpoint: str, response: LoadPolicy.Response
    ) -> LoadPolicy.Response:
        try:
            spec = inference.load(checkpoint)
        except (PolicyError, Refused) as error:
            response.message = str(error)
            return response
        response.success, response.task, response.cameras = True, spec.task, list(spec.cameras)
        response.chunk, response.rate = inference.rows, self._settings.player_hz
        response.message = (
            f"{checkpoint}: {spec.policy} for {spec.task or 'any task'}, chunks of "
            f"{spec.chunk}, {1e3 * inference.inference_s:.0f} ms each"
        )
        self.get_logger().info(response.message)
        return response

    def _on_goal(self, parameters: list[Any]) -> SetParametersResult:
        """A goal that cannot be is refused, and says why."""
        goals = [parameter.value for parameter in parameters if parameter.name == "goal"]
        inference = self.inference
        if not goals or not goals[0]:
            return SetParametersResult(successful=True)
        if inference is None:
            return SetParametersResult(reason=self._refusal.words(UNCONFIGURED))
        try:
            inference.set_goal(goals[0])
        except (PolicyError, Refused) as error:
            return SetParametersResult(reason=str(error))
        return SetParametersResult(successful=True)

    def _on_run(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        inference = self.inference
        if not request.data:
            if inference is not None:
                inference.stop()
            response.success = True
        elif inference is None or not self._active:
            response.message = self._refusal.words("the policy node is not active")
        else:
            try:
                inference.start()
            except Refused as refused:
                response.message = str(refused)
            response.success = not response.message
        self._tell()
        return response


def main(args: list[str] | None = None) -> int:
    """The process `policy`."""
    return run(PolicyNode, args, images=True)


if __name__ == "__main__":
    sys.exit(main())

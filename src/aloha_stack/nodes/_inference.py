"""The one thread in which a policy is loaded, warmed up and asked for chunks."""

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.control.row_rate import finer
from aloha_stack.control.sight import Missing, Moment
from aloha_stack.nodes._jobs import Jobs, Refused
from aloha_stack.nodes._node import ManagedNode
from aloha_stack.nodes._policy_inputs import PolicyInputs, check_rows, check_state_names
from aloha_stack.policies.familiarity import distance_of, strange
from aloha_stack.policies.goals import set_goal
from aloha_stack.policies.options import options_of
from aloha_stack.policies.policy import (
    NAMES,
    ChunkError,
    Observation,
    ObservationError,
    Policy,
    PolicyError,
    PolicySpec,
    check_robot,
)
from aloha_stack.policies.step_count import StepCount
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import JOINTS

WAIT_S = 0.1
LOADING_S = 10.0
"""Steady time within which the thread gets to a request to load."""

LOWER = 10
"""Niceness: the ticks of the arms and of the player go first."""

SPACING = 0.6
"""Of a row's time: observations that are closer together say nothing new (control/chunks.py)."""

FORGETS_S = 1.0
"""After so long without an observation a policy begins anew."""

WARM_UP = 2
"""Passes before the first chunk: the first one allocates, and chooses how to compute."""


@dataclass(frozen=True)
class InferenceSettings:
    """`rate_hz`: chunks per second of ROS time at most, 0 for each new observation. `player_hz`: at
    which their rows are played. `threads`: of the network, 0 for one fewer than there are
    processors."""

    rate_hz: float = 0.0
    player_hz: float = 50.0
    real: bool = False
    threads: int = 0
    options: str = ""  # of the policy, NAME=VALUE with commas between
    goal: str = ""  # of a policy that goes to one, as policies/goals.py reads it
    device: str = "cpu"
    backend: str = "auto"
    unchosen: tuple[str, ...] = ()  # cameras of the robot that this graph does without
    max_image_age_s: float = 0.2
    max_distance: float = 0.0  # to demonstrations, of a policy that compares; 0: any


class Inference:
    """`run` is for a thread of its own; what is public is for all. `publish` gets each chunk: rows
    (n, 14) rad, time between rows and stamp in ns, and whether it takes over alone; `changed` is
    called when there is news."""

    def __init__(
        self,
        node: ManagedNode,
        robot: Robot,
        settings: InferenceSettings,
        publish: Callable[[np.ndarray, int, int, bool], None],
        changed: Callable[[], None],
    ) -> None:
        self._node, self._robot, self._settings = node, robot, settings
        self._publish, self._changed = publish, changed
        self._ending, self._wake = threading.Event(), threading.Event()
        self._halted = threading.Event()
        self._jobs = Jobs("", (PolicyError,), self._wake.set)
        self.policy: Policy | None = None
        self._inputs: PolicyInputs | None = None
        self.checkpoint, self.loading, self.refused = "", False, ""
        self.inference_s, self.chunks, self.failures = 0.0, 0, 0
        self.distance = math.nan
        """Of the last observation to demonstrations, of a policy that compares."""
        self._fault = ""
        """What was wrong with the last observation, or with what the policy made of it."""
        self._wanted = self._begun = 0
        """Runs that were asked for, and that were begun; 0: it is not to infer."""
        self._runs = 0
        self._last_ns = 0
        self._between = 1
        """Ticks of the player in a row of the policy."""
        self._goal = settings.goal
        self._steps: StepCount | None = None
        """Of a policy with a memory, whose steps must neither be skipped nor doubled."""

    # -- for other threads ------------------------------------------------------------------

    @property
    def inferring(self) -> bool:
        """Whether it is to infer."""
        return self._wanted > 0

    @property
    def problem(self) -> str:
        """Why no chunks come, or must not be trusted; empty if all is well."""
        inputs = self._inputs
        missing = "" if inputs is None else inputs.problem(self._node.time.now_ns())
        return missing or self._fault

    @property
    def rows(self) -> int:
        """Of each chunk that is published; 0 while nothing is loaded."""
        policy = self.policy
        return 0 if policy is None else (policy.spec.chunk - 1) * self._between + 1

    def load(self, checkpoint: str) -> PolicySpec:
        """Loads, checks and warms up. Raises PolicyError or Refused; then nothing is loaded."""
        if self.inferring:
            raise Refused("the policy infers: end the rollout first")
        spec: PolicySpec = self._jobs.ask(lambda: self._load(checkpoint), LOADING_S)
        return spec

    def set_goal(self, text: str) -> None:
        """Another goal, while it infers or before. Raises PolicyError or Refused; then the policy
        keeps the one that it has."""
        self._jobs.ask(lambda: self._set_goal(text), LOADING_S)

    def start(self) -> None:
        """From now on it infers, beginning anew. Refused if nothing is loaded."""
        if self.policy is None:
            raise Refused(f"no policy is loaded{': ' if self.refused else ''}{self.refused}")
        self._runs += 1
        self._wanted = self._runs
        self._halted.clear()
        self._wake.set()

    def stop(self) -> None:
        """No chunk is published any more."""
        self._wanted = 0
        self._node.time.poke(self._halted)

    def end(self) -> None:
        """Asks `run` to come to its end."""
        self.stop()
        self._ending.set()
        self._wake.set()

    # -- its own thread ---------------------------------------------------------------------

    def run(self) -> None:
        """Until end()."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWER)  # of this thread only
        try:
            while not self._ending.is_set():
                self._jobs.serve()
                if not self._infer():
                    self._wake.wait(WAIT_S)
                    self._wake.clear()
        finally:
            self._jobs.close("the policy's node ends")
            self._drop()

    def _drop(self) -> None:
        self.policy, self.checkpoint, self.distance = None, "", math.nan
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None

    def _load(self, checkpoint: str) -> PolicySpec:
        self._drop()
        self.loading, self.refused = True, ""
        self._changed()
        try:
            policy = self._loaded(checkpoint)
            self.inference_s = self._warm_up(policy)
        except PolicyError as error:
            self.refused, self.loading = str(error), False
            self._changed()
            raise
        self._inputs = PolicyInputs(
            self._node, self._robot, policy.spec, self._settings.max_image_age_s, self._came
        )
        self.policy, self.checkpoint, self._fault = policy, checkpoint, ""
        self.loading = False
        self._changed()
        return policy.spec

    def _loaded(self, checkpoint: str) -> Policy:
        from aloha_stack.policies import machine  # only here: torch takes seconds to import
        from aloha_stack.policies.checkpoint import load

        machine.check_device(self._settings.device)
        machine.use_threads(self._settings.threads)
        folder = Path(checkpoint).expanduser()
        settings = self._settings
        policy = load(folder, settings.device, settings.backend, options_of(settings.options))
        check_robot(policy.spec, self._robot, settings.unchosen)
        check_state_names(policy.spec)
        if self._goal:
            set_goal(policy, self._goal)
        self._between = check_rows(policy.spec, self._settings.player_hz)
        return policy

    def _set_goal(self, text: str) -> None:
        if self.policy is None:
            raise Refused("no policy is loaded, so none has a goal; load one before")
        set_goal(self.policy, text)
        self._goal = text

    def _warm_up(self, policy: Policy) -> float:
        """How long the last pass took, s. What comes out is looked at by nobody."""
        spec = policy.spec
        images = {}
        for name in spec.cameras:
            camera = self._robot.camera(name)
            size = spec.image_size or (camera.height, camera.width)
            images[name] = np.full((*size, 3), 127, np.uint8)
        observation = Observation(np.zeros(len(spec.state_names), np.float32), images)
        policy.reset()
        for _ in range(WARM_UP):
            began_s = time.monotonic()
            policy.act(observation)
        policy.reset()
        return time.monotonic() - began_s

    def _came(self) -> None:
        if self.inferring:
            self._wake.set()

    # -- one chunk --------------------------------------------------------------------------

    def _infer(self) -> bool:
        """One chunk from a new observation; False if there is nothing new to make one of."""
        policy, inputs, run = self.policy, self._inputs, self._wanted
        if run == 0 or policy is None or inputs is None:
            return False
        if run != self._begun:
            self._begun, self._last_ns, self._fault = run, 0, ""
            self.chunks = self.failures = 0
            self._begin_anew(policy)
        try:
            moment = inputs.moment(self._node.time.now_ns())
            if not self._due(moment.stamp_ns, policy.spec):
                return False
            chunk = self._chunk(policy, inputs, moment)
        except Missing as missing:
            self._say(str(missing))
            return False
        except (ObservationError, ChunkError) as error:
            self.failures += 1
            self._say(str(error))
            return False
        self.distance = distance_of(policy)
        if unlike := strange(self.distance, self._settings.max_distance):
            self._say(unlike)
            return True
        if self._wanted == run and not inputs.problem(self._node.time.now_ns()):
            dt_ns = round(1e9 / (policy.spec.rate_hz * self._between))
            rows = finer(self._in_rad(chunk), self._between)
            self._publish(rows, dt_ns, moment.stamp_ns, policy.spec.stateful)
            self.chunks += 1
            self._say("")
        return True

    def _due(self, stamp_ns: int, spec: PolicySpec) -> bool:
        """Whether an observation is so much newer than the last that a chunk is to be made."""
        if self._steps is not None:
            return self._steps.is_new(stamp_ns)
        dt_ns = 1e9 / spec.rate_hz
        spacing_ns = SPACING * dt_ns
        if self._settings.rate_hz > 0:
            spacing_ns = max(spacing_ns, 1e9 / self._settings.rate_hz - dt_ns / 2)
        return not 0 <= stamp_ns - self._last_ns < spacing_ns

    def _chunk(self, policy: Policy, inputs: PolicyInputs, moment: Moment) -> np.ndarray:
        if self._last_ns and abs(moment.stamp_ns - self._last_ns) > FORGETS_S * 1e9:
            self._begin_anew(policy)
        if self._steps is not None and (missed := self._steps.count(moment.stamp_ns)):
            self._node.get_logger().warning(
                f"the policy had no observation for {missed} of its steps: inference is late, or "
                "a stream slower than its rate",
                throttle_duration_sec=1.0,
            )
        self._last_ns = moment.stamp_ns
        observation = inputs.observation(moment)
        began_s, began_ns = time.monotonic(), self._node.time.now_ns()
        chunk = policy.act(observation)
        self.inference_s = time.monotonic() - began_s
        if self._settings.real:
            self._node.time.sleep_until(began_ns + round(self.inference_s * 1e9), self._halted)
        return chunk

    def _begin_anew(self, policy: Policy) -> None:
        policy.reset()
        self._steps = StepCount(policy.spec.rate_hz) if policy.spec.stateful else None

    def _in_rad(self, chunk: np.ndarray) -> np.ndarray:
        """The same with gripper openings as the angles of their joints."""
        rows: Any = chunk[:, : len(NAMES)].astype(np.float64)
        for number, arm in enumerate(self._robot.followers):
            column = (number + 1) * len(JOINTS) - 1
            rows[:, column] = arm.gripper.unnormalise_joint(rows[:, column])
        return rows

    def _say(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            self._changed()

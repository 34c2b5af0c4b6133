"""What is evaluated, and whether that can be: plain words that any process can work from."""

import atexit
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from aloha_stack.control.chunks import MAX_ROWS
from aloha_stack.control.row_rate import rows_between
from aloha_stack.evaluation.disturbances import Disturbances
from aloha_stack.evaluation.execution import Execution
from aloha_stack.evaluation.numbers import RobotNumbers
from aloha_stack.evaluation.pictures import PolicyPictures
from aloha_stack.evaluation.rollout import TICKS, Outcome, roll_out
from aloha_stack.policies.checkpoint import load
from aloha_stack.policies.options import AUTO, options_of
from aloha_stack.policies.policy import Policy, PolicyError, PolicySpec, check_robot
from aloha_stack.robot.description import Robot, load_robot
from aloha_stack.twin.direct import TICK_NS
from aloha_stack.twin.kinematics import UnreachableError
from aloha_stack.twin.operator_rehearsal import NotEngaged, rehearse
from aloha_stack.twin.tasks import find_task
from aloha_stack.twin.variation import Variation, variation_of
from aloha_stack.twin.world import World, WorldDiverged

OPERATOR = "operator"
MIN_ROWS = 2


@dataclass(frozen=True)
class Plan:
    """`model` is the folder of a checkpoint, or `operator`, the twin's scripted one.

    An episode has `ticks` of 20 ms; `kinds` are its disturbances. `device` and `backend` are as
    `policies.checkpoint.load` knows them, `variation` as `twin.variation.variation_of`.
    """

    model: str
    task: str
    execution: Execution = field(default_factory=Execution)
    kinds: tuple[str, ...] = ()
    ticks: int = TICKS
    device: str = "cpu"
    backend: str = AUTO
    variation: str = ""
    options: str = ""  # of the policy, NAME=VALUE with commas between

    @property
    def is_operator(self) -> bool:
        return self.model == OPERATOR

    def worlds(self) -> Variation:
        """Where objects lie in its worlds, and how those look. Raises VariationError."""
        return variation_of(find_task(self.task), self.variation)

    def check(self) -> PolicySpec | None:
        """What the policy needs; None for the operator. Raises PolicyError for a checkpoint that
        cannot be used, or not for this; VariationError for worlds that the task does not know."""
        self.worlds()
        if self.is_operator:
            return None
        spec = loaded(self.model, self.device, self.backend, self.options).spec
        check_spec(spec, self.task, twin())
        if self.execution.inference >= (spec.chunk - 1) * check_rate(spec):
            raise PolicyError(
                f"{self.model}: its chunks of {spec.chunk} rows are over before they count, "
                f"{self.execution.inference} ticks after their observation"
            )
        return spec

    def attempt(self, seed: int, watch: Callable[[World], None] | None = None) -> Outcome:
        """The one episode in the world of `seed`; `watch` looks on at a policy's ticks."""
        if self.is_operator:
            return _performance(self._world(seed, "rest"), self.ticks)
        policy = _policy(self.model, self.device, self.backend, self.options)
        return roll_out(
            self._world(seed, "start"),
            twin(),
            policy,
            _pictures(self.task, policy.spec),
            self.execution,
            Disturbances(self.kinds, seed),
            self.ticks,
            watch,
        )

    def _world(self, seed: int, pose: Literal["rest", "start"]) -> World:
        return World(self.task, seed, twin(), pose, self.variation)


def _performance(world: World, ticks: int) -> Outcome:
    """The scripted operator's."""
    try:
        result = rehearse(world, twin(), max_ticks=ticks)
    except (NotEngaged, UnreachableError, WorldDiverged) as error:
        return Outcome(world.seed, False, 0, 0, remark=str(error))
    success = result.success_tick
    return Outcome(world.seed, success is not None, result.best_reward, success or 0)


def check_spec(spec: PolicySpec, task: str, robot: Robot) -> None:
    """Raises PolicyError for a policy of another task, robot, camera set or rate."""
    if spec.task and spec.task != task:
        raise PolicyError(
            f"the policy was trained on {spec.task}, not on {task}: --task {spec.task}"
        )
    check_robot(spec, robot)
    RobotNumbers(robot, spec.state_names)
    rows = (spec.chunk - 1) * check_rate(spec) + 1
    if not MIN_ROWS <= rows <= MAX_ROWS:
        raise PolicyError(
            f"the policy's chunks have {rows} rows; {MIN_ROWS} to {MAX_ROWS} can be merged"
        )


def check_rate(spec: PolicySpec) -> int:
    """Ticks of a rollout in one row of the policy. Raises PolicyError for no whole number."""
    try:
        return rows_between(1e9 / TICK_NS, spec.rate_hz)
    except ValueError as error:
        raise PolicyError(str(error)) from error


def loaded(model: str, device: str, backend: str, options: str = "") -> Policy:
    """The policy of a checkpoint folder. Raises PolicyError, for a missing device too."""
    try:
        return load(model, device, backend, options_of(options))
    except (AssertionError, RuntimeError) as error:
        why = str(error).partition("\n")[0]
        raise PolicyError(f"{model} cannot be used on device '{device}': {why}") from error


@cache
def twin() -> Robot:
    """The robot of every evaluation."""
    return load_robot("twin", {"ALOHA_PORTS": "none"})


@cache
def _policy(model: str, device: str, backend: str, options: str) -> Policy:
    """The one policy of a process, for as long as it lives."""
    return loaded(model, device, backend, options)


@cache
def _pictures(task: str, spec: PolicySpec) -> PolicyPictures:
    """The one renderer of a process, likewise."""
    pictures = PolicyPictures(task, twin(), spec)
    atexit.register(pictures.close)  # while there still is an OpenGL to give it back to
    return pictures

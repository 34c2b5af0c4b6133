"""What is evaluated, and whether that can be: plain words that any process can work from."""

from dataclasses import dataclass, field
from functools import cache

from aloha_stack.evaluation.disturbances import Disturbances
from aloha_stack.evaluation.execution import Execution
from aloha_stack.evaluation.numbers import RobotNumbers
from aloha_stack.evaluation.pictures import PolicyPictures
from aloha_stack.evaluation.rollout import Outcome, roll_out
from aloha_stack.policies.checkpoint import load, read
from aloha_stack.policies.policy import Policy, PolicyError, PolicySpec, check_robot
from aloha_stack.robot.description import Robot, load_robot
from aloha_stack.twin.direct import TICK_NS
from aloha_stack.twin.operator_rehearsal import rehearse
from aloha_stack.twin.world import World

OPERATOR = "operator"
MIN_ROWS = 2


@dataclass(frozen=True)
class Plan:
    """`model` is the folder of a checkpoint, or `operator`, the twin's scripted one.

    `size` (width, height) of the rendered pictures; None: the robot file's. `kinds` are the
    disturbances.
    """

    model: str
    task: str
    execution: Execution = field(default_factory=Execution)
    kinds: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    backend: str = "eager"

    @property
    def is_operator(self) -> bool:
        return self.model == OPERATOR

    def check(self) -> PolicySpec | None:
        """What the policy needs; None for the operator. Raises PolicyError for a checkpoint that
        cannot be used, or not for this."""
        if self.is_operator:
            return None
        spec = read(self.model).spec
        check_spec(spec, self.task, twin())
        if self.execution.inference >= spec.chunk - 1:
            raise PolicyError(
                f"chunks of {spec.chunk} rows are over before they count, "
                f"{self.execution.inference} ticks after their observation"
            )
        return spec

    def attempt(self, seed: int) -> Outcome:
        """The one episode in the world of `seed`."""
        if self.is_operator:
            result = rehearse(World(self.task, seed, twin()), twin())
            ticks = result.success_tick
            return Outcome(seed, ticks is not None, result.best_reward, ticks or 0)
        policy = _policy(self.model, self.backend)
        return roll_out(
            World(self.task, seed, twin(), "start"),
            twin(),
            policy,
            _pictures(self.task, policy.spec, self.size),
            self.execution,
            Disturbances(self.kinds, seed),
        )


def check_spec(spec: PolicySpec, task: str, robot: Robot) -> None:
    """Raises PolicyError for a policy of another task, robot, camera set or rate."""
    if spec.task and spec.task != task:
        raise PolicyError(
            f"the policy was trained on {spec.task}, not on {task}: --task {spec.task}"
        )
    check_robot(spec, robot)
    RobotNumbers(robot, spec.state_names)
    rate_hz = 1e9 / TICK_NS
    if abs(spec.rate_hz / rate_hz - 1) > 1e-3:
        raise PolicyError(f"the policy's rate is {spec.rate_hz:g} Hz; rollouts tick at {rate_hz:g}")
    if spec.chunk < MIN_ROWS:
        raise PolicyError(
            f"the policy's chunks have {spec.chunk} row; from {MIN_ROWS} can be merged"
        )


@cache
def twin() -> Robot:
    """The robot of every evaluation."""
    return load_robot("twin", {"ALOHA_PORTS": "none"})


@cache
def _policy(model: str, backend: str) -> Policy:
    """The one policy of a process, for as long as it lives."""
    return load(model, backend=backend)


@cache
def _pictures(task: str, spec: PolicySpec, size: tuple[int, int] | None) -> PolicyPictures:
    """The one renderer of a process, likewise."""
    return PolicyPictures(task, twin(), spec, size)

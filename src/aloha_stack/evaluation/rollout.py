"""One rollout without ROS: a policy moves the followers of a world, in model time.

The order of events at a tick T, as `twin/direct` has it:

    T          the target of this tick leaves, from the chunks that have arrived by now
    T          joints are read and pictures taken: if the policy is free, it thinks about them
    T + 20 ms  at the earliest does that chunk count

In the graph, too, a reading and a picture of the same moment come before the next tick, and row k
of a chunk is the target for k ticks after them (`control/chunks`), as in training.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aloha_stack.evaluation.disturbances import Disturbances
from aloha_stack.evaluation.execution import Execution, PolicyCommands
from aloha_stack.evaluation.numbers import RobotNumbers
from aloha_stack.evaluation.pictures import PolicyPictures
from aloha_stack.evaluation.reaching import Reaching
from aloha_stack.policies.policy import Observation, Policy
from aloha_stack.robot.description import Robot
from aloha_stack.twin.direct import TICK_NS, DirectArms
from aloha_stack.twin.pushes import push
from aloha_stack.twin.world import World, WorldDiverged

TICKS = 400
"""Of an episode: 8 s, as in gym-aloha's own evaluation."""


@dataclass(frozen=True)
class Outcome:
    """How an episode went: `ticks` to success, 0 without. `reward` is the greatest of any tick."""

    seed: int
    success: bool
    reward: int
    ticks: int
    holds: int = 0  # times when no chunk was left
    refused: int = 0  # chunks that were none, or came too late
    inference_s: float = 0.0  # median
    remark: str = ""
    beyond_rad: float = 0.0  # farthest that a joint was beyond its limits

    def row(self) -> dict[str, int | bool]:
        """As `per_episode` has it."""
        return {
            "seed": self.seed,
            "success": self.success,
            "reward": self.reward,
            "ticks": self.ticks,
        }


def roll_out(
    world: World,
    robot: Robot,
    policy: Policy,
    pictures: PolicyPictures,
    execution: Execution,
    disturbances: Disturbances,
    ticks: int = TICKS,
    watch: Callable[[World], None] | None = None,
) -> Outcome:
    """Until the task's greatest reward, for `ticks` at most. `world` has its followers at the start
    pose; `watch` sees it after every tick. Raises ObservationError for a policy that does not want
    what is there."""
    pictures.dress(world.look)
    numbers = RobotNumbers(robot, policy.spec.state_names)
    arms = DirectArms(world, robot, disturbances.delay_s)
    start_ns = world.time_ns
    commands = PolicyCommands(policy, numbers, execution, TICK_NS)
    held = {name: executed.position for name, executed in arms.executed().items()}
    commands.begin(numbers.joined(held), start_ns)
    reaching = Reaching(world, robot, policy)
    best, success, remark, beyond_rad = 0, 0, "", 0.0
    try:
        for tick in range(1, ticks + 1):
            reaching.move(disturbances.goal_shift((world.time_ns - start_ns) * 1e-9))
            _step(world, arms, commands, numbers, pictures, disturbances, start_ns)
            if watch is not None:
                watch(world)
            beyond_rad = max(beyond_rad, _beyond(world, robot))
            reward = world.reward()
            best = max(best, reward)
            settled = (world.time_ns - start_ns) * 1e-9 >= disturbances.over_s
            if reward == world.max_reward and settled:
                success = tick
                break
    except WorldDiverged as error:
        remark = str(error)
    took = float(np.median(commands.seconds)) if commands.seconds else 0.0
    return Outcome(
        world.seed,
        success > 0,
        best,
        success,
        commands.holds,
        commands.refused,
        took,
        remark or commands.reason,
        beyond_rad,
    )


def _beyond(world: World, robot: Robot) -> float:
    """How far (rad) the worst joint is beyond its limits now; 0 if none is."""
    out = [0.0]
    for arm in robot.followers:
        position = world.state(arm.name)[0][:-1]  # the gripper's servo is no joint of the arm
        lower, upper = arm.limits.lower[:-1], arm.limits.upper[:-1]
        out += [float((lower - position).max()), float((position - upper).max())]
    return max(out)


def _step(
    world: World,
    arms: DirectArms,
    commands: PolicyCommands,
    numbers: RobotNumbers,
    pictures: PolicyPictures,
    disturbances: Disturbances,
    start_ns: int,
) -> None:
    """One tick of 20 ms."""
    now_ns, qpos = world.time_ns, world.qpos()
    for follower, force_n in disturbances.forces((now_ns - start_ns) * 1e-9).items():
        push(world, follower, force_n)
    arms.cycle(numbers.split(commands.target(now_ns)))
    if commands.asks(now_ns):
        state = numbers.state(arms.measured())
        seen = pictures.seen(now_ns, qpos, disturbances.picture)
        commands.observe(Observation(state, seen, now_ns))
    arms.cycle()

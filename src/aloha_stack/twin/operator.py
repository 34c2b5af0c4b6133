"""The scripted human operator: moves the leaders' joints as two hands would.

It sees the world's objects, as a person does, and nothing of the software above the wire but
whether teleoperation follows. Its states:

    homing      brings both leaders to the start pose, the handles open, and squeezes both (ALOHA's
                gesture that asks the robot to follow); opens and squeezes them again, where a
                follower was stopped if it does not come, until the followers follow
    ready       has brought the followers' grippers to their start opening, holds still
    performing  does the task
    done        holds the last pose
"""

from collections.abc import Mapping

import numpy as np

from aloha_stack.robot.description import Robot
from aloha_stack.robot.gripper import finger_from_joint
from aloha_stack.robot.joints import LEADERS, side_of
from aloha_stack.twin.operator_hands import Hands
from aloha_stack.twin.operator_manner import HUMAN, Draws, Manner, Performance
from aloha_stack.twin.operator_motion import Motion, shortest_s
from aloha_stack.twin.operator_script import find_script
from aloha_stack.twin.world import World

HOMING_SPEED_RAD_S = 1.0
HOMING_AT_LEAST_S = 1.0
SQUEEZE_S = 0.5
SQUEEZED_S = 0.4
"""How long the handles stay squeezed: the gesture has to be held, and its answer takes a while."""

MET_RAD = 0.1
"""A follower that is farther from the start pose than this in a joint is not there."""

MOVING_RAD_S = 0.05

Leaders = dict[str, tuple[np.ndarray, np.ndarray]]
"""Position (7,) rad and velocity (7,) rad/s by leader."""


class NotReadyError(RuntimeError):
    """The operator was asked to perform and cannot yet."""


class Operator:
    """The operator of one world; its manner says how performances differ from seed to seed."""

    def __init__(self, world: World, robot: Robot, manner: Manner = HUMAN) -> None:
        self._script = find_script(world.task.name)
        self._world, self._robot, self._manner = world, robot, manner
        self._hands = Hands(world, robot)
        self._now: Leaders = {
            leader: (robot.arm(leader).rest_pose.copy(), np.zeros(7)) for leader in LEADERS
        }
        self._time_s = world.time_s
        self.reset()

    def reset(self, leaders: Mapping[str, np.ndarray] | None = None) -> None:
        """Goes home: from `leaders` (7,) rad each if given, else from where its hands are."""
        for leader, position in (leaders or {}).items():
            self._now[leader] = (np.array(position, dtype=float), np.zeros(7))
        self._attempts = 0
        self._go_home()

    def _go_home(self) -> None:
        self.state = "homing"
        self._attempts += 1
        self._start({leader: self._homing(leader) for leader in LEADERS})

    @property
    def ready(self) -> bool:
        """Whether `perform` may be called: at the start pose, followed, the handles open."""
        return self.state == "ready" and self._ended()

    def perform(self) -> float:
        """Begins the task; how long its hands will take, s. NotReadyError unless it is ready."""
        if not self.ready:
            doing = "still opening the handles" if self.state == "ready" else self.state
            raise NotReadyError(
                f"the operator is {doing}, not ready: it needs both leaders at the start pose "
                "and teleoperation engaged; wait, or send it home with a reset"
            )
        draws = Draws(self._manner, self._world.seed)
        keys = self._script(self._world, draws)
        motions = {
            leader: self._hands.perform(side_of(leader), self._now[leader][0], keys[leader], draws)
            for leader in LEADERS
        }
        self.state = "performing"
        self._start(motions)
        return self._longest_s()

    def update(self, time_s: float, engaged: bool | None = None) -> Leaders:
        """Where the hands are at `time_s` (model time, never falling).

        `engaged`: whether the followers follow; None where nobody can tell (then it is assumed).
        """
        self._time_s = time_s
        if self._ended():
            if self.state == "homing" and engaged is not False:
                self.state = "ready"
                self._start({leader: self._opening(leader) for leader in LEADERS})
            elif self.state in ("homing", "ready") and engaged is False:
                self._go_home()
            elif self.state == "performing":
                self.state = "done"
        elapsed = time_s - self._began_s
        self._now = {leader: motion.at(elapsed) for leader, motion in self._motions.items()}
        return self._now

    def _start(self, motions: Mapping[str, Motion | Performance]) -> None:
        self._motions, self._began_s = motions, self._time_s

    def _ended(self) -> bool:
        return self._time_s - self._began_s >= self._longest_s()

    def _longest_s(self) -> float:
        return max(motion.end_s for motion in self._motions.values())

    def _homing(self, leader: str) -> Motion:
        """To the follower with an open handle, then squeeze it: the gesture is the closing."""
        arm = self._robot.arm(leader)
        here, home = self._now[leader][0], self._meeting_pose(leader)
        squeezed = np.append(home[:6], arm.gripper.joint_close_rad)
        there_s = shortest_s(here, home, HOMING_SPEED_RAD_S, HOMING_AT_LEAST_S)
        times = np.cumsum([0.0, there_s, SQUEEZE_S, SQUEEZED_S])
        return Motion(times, np.array([here, home, squeezed, squeezed]))

    def _meeting_pose(self, leader: str) -> np.ndarray:
        """Where the leader meets its follower: at the start pose, to which the follower comes.

        A follower that stays elsewhere (it was stopped on its way) is met where it is.
        """
        start = self._robot.arm(leader).start_pose
        position, velocity, _ = self._world.state(f"follower_{side_of(leader)}")
        away = np.abs(position - start)[:6].max() > MET_RAD
        if self._attempts < 2 or not away or np.abs(velocity[:6]).max() > MOVING_RAD_S:
            return start
        limits = self._robot.arm(leader).limits
        there = np.clip(position, limits.soft_lower, limits.soft_upper)
        return np.append(there[:6], start[6])

    def _opening(self, leader: str) -> Motion:
        """To where the task begins, the handle opened as far as brings the follower's gripper
        along: there every rollout begins, and so has every demonstration to."""
        side = side_of(leader)
        follower = self._robot.arm(f"follower_{side}")
        finger_m = float(finger_from_joint(follower.start_pose[6], follower.gripper.linkage))
        here = self._now[leader][0]
        gripper = self._hands.leader_gripper(side, finger_m)
        start = np.append(self._world.start_of(follower, self._world.seed)[:6], gripper)
        there_s = shortest_s(here, start, HOMING_SPEED_RAD_S, SQUEEZE_S)
        return Motion(np.array([0.0, there_s]), np.array([here, start]))

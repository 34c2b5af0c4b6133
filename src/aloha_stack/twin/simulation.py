"""The twin without ROS: world, virtual ports, leader arms and the operator's hands, in one loop.

`spin_once` answers the bytes on the four ports and, when the next step is due, integrates the
world. Everything happens in the thread that calls it.
"""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from aloha_stack.control.gravity import gravity_torque
from aloha_stack.robot.description import Arm, Robot
from aloha_stack.twin.faults import Fault, FaultError
from aloha_stack.twin.hand import LeaderArm
from aloha_stack.twin.operator import Operator
from aloha_stack.twin.pacing import BURST_S, PATIENCE_S, USER_LEAD_S, WorldPacer
from aloha_stack.twin.port_folder import PortFolder
from aloha_stack.twin.snapshots import SnapshotWriter
from aloha_stack.twin.virtual_arm import VirtualArm
from aloha_stack.twin.virtual_port import VirtualPort, wait_for_bytes
from aloha_stack.twin.world import World

COUPLING_NS = 4_000_000
"""Model time between two looks at what the servos pull at, when no bytes have come."""

FRAME_NS = 20_000_000
"""Model time between two states left for the cameras: 50 Hz."""

CAMERA_LEAD_FRAMES = 2
"""States that may be waiting for a camera before the world waits for it."""


class Simulation:
    """The twin of `robot` in a task's world, varied as `variation` has it (twin.variation).
    `hands` says whether an operator moves the leaders.

    `wait_for_users` makes model time wait for polled ports and rendering cameras (see pacing);
    switch it off where the wall's time is what is being measured. Raises FolderTakenError if
    another twin has its ports in the same folder.
    """

    def __init__(
        self,
        robot: Robot,
        task: str,
        seed: int,
        *,
        hands: bool = True,
        speed: float = 1.0,
        wait_for_users: bool = True,
        variation: str = "",
    ) -> None:
        self.robot = robot
        self.world = World(task, seed, robot, variation=variation)
        self.operator = Operator(self.world, robot) if hands else None
        self.engaged: bool | None = None
        self.pacer = WorldPacer(speed)
        self.arms: dict[str, VirtualArm] = {}
        self._wait_for_users = wait_for_users
        self._leaders = {
            arm.name: LeaderArm(arm, weight=partial(gravity_torque, arm.chain))
            for arm in robot.leaders
        }
        self._ports: dict[str, VirtualPort] = {}
        self._burst_s: dict[str, float] = {}
        self._next_coupling_ns = 0
        self._next_frame_ns = 0
        self._best_reward = 0
        self._began_s: float | None = None
        self.episode = 0
        folder = Path(next(iter(robot.arms.values())).port).parent
        self._folder = PortFolder(folder)
        try:
            for arm in robot.arms.values():
                self._open_port(arm)
            looks = self.world.variation.looks
            self._snapshots = SnapshotWriter(folder / "world", task, self.world.model.nq, looks)
        except BaseException:
            self._close_ports()
            raise

    def _open_port(self, arm: Arm) -> None:
        path = Path(arm.port)
        virtual = VirtualArm(arm)
        self.arms[arm.name] = virtual
        seed = self.world.seed
        self._ports[arm.name] = VirtualPort(path.parent, path.name, virtual, seed=seed)
        self._burst_s[arm.name] = 0.0
        self._show(arm.name)

    @property
    def ports_in_use(self) -> list[str]:
        """The arms whose port some program has open."""
        return [name for name, port in self._ports.items() if port.in_use]

    # -- the loop -------------------------------------------------------------------------------

    def spin_once(self) -> bool:
        """Waits for bytes or for the next step; answers and steps. True if the world stepped."""
        wait_s = self.pacer.wait_s(self.world.time_s)
        if wait_s == 0.0 and self._users_lag():
            wait_s = 0.002
        if wait_s > 0.0:
            wait_for_bytes(list(self._ports.values()), min(wait_s, 0.005))
        self._answer()
        if wait_s > 0.0:
            return False
        self.world.step()
        self._after_step()
        return True

    def _answer(self) -> None:
        now_s = self.world.time_s
        for name, port in self._ports.items():
            self._show(name)
            if port.service(now_s):
                if now_s - self._burst_s[name] > BURST_S:
                    self._burst_s[name] = now_s
                self._couple(name)
            if port.keeps_waiting:  # it is the line that is slow, not the user
                self._burst_s[name] = now_s

    def _after_step(self) -> None:
        now_ns = self.world.time_ns
        if now_ns >= self._next_coupling_ns:
            self._next_coupling_ns = now_ns + COUPLING_NS
            self._move_leaders()
            for name in self._ports:
                self._couple(name)
            self._best_reward = max(self._best_reward, self.world.reward())
        if now_ns >= self._next_frame_ns:
            self._next_frame_ns += FRAME_NS
            self._snapshots.write(now_ns, self.world.qpos(), self.world.seed)
            self.pacer.record(self.world.time_s)

    def _move_leaders(self) -> None:
        hands: Mapping[str, tuple[np.ndarray, np.ndarray]] = {}
        if self.operator is not None:
            hands = self.operator.update(self.world.time_s, self.engaged)
        for name, leader in self._leaders.items():
            arm = self.arms[name]
            push = arm.goals_current()
            leader.update(*arm.goals(), hands.get(name), COUPLING_NS * 1e-9, push)

    def _couple(self, name: str) -> None:
        """What the servos of a follower pull at, to the world."""
        if name not in self._leaders:
            self.world.command(name, *self.arms[name].goals())

    def _show(self, name: str) -> None:
        """The state of an arm, to its servos' present registers."""
        leader = self._leaders.get(name)
        if leader is not None:
            self.arms[name].update(leader.position, leader.velocity, leader.effort)
        else:
            self.arms[name].update(*self.world.state(name))

    def _users_lag(self) -> bool:
        if not self._wait_for_users:
            return False
        now_s, steady_s = self.world.time_s, time.monotonic()
        for name, port in self._ports.items():
            waits = now_s - self._burst_s[name] >= USER_LEAD_S
            if waits and steady_s - port.last_request_s < PATIENCE_S and port.in_use:
                return True
        return self._snapshots.slowest_reader_lag() > CAMERA_LEAD_FRAMES

    # -- the task -------------------------------------------------------------------------------

    def reset(self, seed: int) -> None:
        """Puts the objects where `seed` says; the operator goes home. The arms stay."""
        self.world.reset(seed)
        self.episode += 1
        self._best_reward, self._began_s = 0, None
        if self.operator is not None:
            self.operator.reset({name: arm.position for name, arm in self._leaders.items()})

    def perform(self) -> float | None:
        """The demonstration begins: the operator performs the task; best reward and time restart.

        How long the operator will take, s of model time; None without one. Raises NotReadyError,
        which says why it cannot begin.
        """
        lasts_s = None if self.operator is None else self.operator.perform()
        self._best_reward, self._began_s = 0, self.world.time_s
        return lasts_s

    @property
    def best_reward(self) -> int:
        """The highest reward since the demonstration began, or since the last reset."""
        return self._best_reward

    @property
    def operator_state(self) -> str:
        """homing, ready, performing or done; empty without an operator."""
        if self.operator is None:
            return ""
        opening = self.operator.state == "ready" and not self.operator.ready
        return "homing" if opening else self.operator.state

    @property
    def elapsed_s(self) -> float:
        """Model time since the demonstration began; 0 before."""
        return 0.0 if self._began_s is None else self.world.time_s - self._began_s

    # -- faults ---------------------------------------------------------------------------------

    def inject(self, arm: str, fault: Fault) -> None:
        """Lets `fault` befall an arm. FaultError if there is no such arm or servo."""
        if arm not in self._ports:
            raise FaultError(f"the twin has no arm '{arm}'; it has {', '.join(self._ports)}")
        self._ports[arm].inject(fault)

    def clear_faults(self) -> None:
        """Ends every fault that lasts, on all arms."""
        for port in self._ports.values():
            port.clear()

    def close(self) -> None:
        """Takes the ports and the cameras' view away."""
        self._snapshots.close()
        self._close_ports()

    def _close_ports(self) -> None:
        for port in self._ports.values():
            port.close()
        self._folder.release()

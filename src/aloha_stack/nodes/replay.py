"""Replay: what the followers executed in an episode, once more through the same bridges.

The path is sent piece by piece, a little ahead of its time, so that the arms come to rest soon when
this process dies. The pieces overlap and their points stand at fixed times, so that a late or lost
piece changes nothing.
"""

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from aloha_interfaces.msg import ArmStatus
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.commands import lacks_only_commands
from aloha_stack.control.e_stop import GONE_S
from aloha_stack.control.ramps import Ramp, ramp
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.playback import JointPath, executed_paths
from aloha_stack.episodes.reader import Episode
from aloha_stack.nodes._conversions import read_mode, set_stamp
from aloha_stack.nodes._diagnostics import NodeDiagnostics
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._qos import COMMAND, STATE
from aloha_stack.nodes._qos import JOINTS as JOINTS_QOS
from aloha_stack.nodes._state_diagnostics import of_replay
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import ARM_JOINTS, JOINTS

PIECE_NS = 1_000_000_000
PERIOD_NS = 250_000_000
LEAD_NS = 100_000_000
"""Both arms have their first piece before it begins."""

LOOK_S = 0.05
DEAF_MODES = (Mode.INACTIVE, Mode.E_STOPPED, Mode.PARKING, Mode.FAULT)

HOLDING_NS = 300_000_000
"""ROS time for which a bridge may hold where it should follow: no command reaches it any more."""

AT_START_RAD = 0.05
SETTLE_S = 1.0
"""Steady time that arms get to come to rest at the first pose; in which this node runs, that is."""

RAMPS = 2
RAMP_POINT_S = 0.05
SHORTEST_RAMP_S = 1.0


@dataclass(frozen=True)
class Heard:
    """The last status of a bridge: since when it holds (ROS ns; None: it does not), and when it
    came (steady s)."""

    mode: Mode
    reason: str
    holding_ns: int | None
    steady_s: float

    @property
    def gone(self) -> bool:
        return time.monotonic() - self.steady_s > GONE_S

    @property
    def lacks(self) -> str:
        """Why it would not follow now; empty if it would."""
        if self.gone:
            return "silent"
        if self.mode == Mode.HOLDING:
            return "" if lacks_only_commands(self.reason) else self.reason
        return "" if self.mode == Mode.FOLLOWING else self.mode.name


class Replay(SimpleNode):
    """See the module. /replay/state: waiting, ramping, ready, playing, done, or stopped: REASON."""

    def __init__(self, **options: Any) -> None:
        super().__init__("replay", **options)
        name = declare(self, "robot", "aloha", "robot to move: a name in config/robots or a file")
        folder = declare(self, "episode", str, "folder of the episode to replay")
        self._wait_for_start = declare(
            self, "wait_for_start", False, "after the ramp, wait for /replay/start"
        )
        self._ramp_rad_s = declare(
            self, "ramp_speed", 0.5, "fastest joint on the way to the start, rad/s", (0.01, 3.0)
        )
        self._limits = {arm.name: arm.limits for arm in load_robot(name).followers}
        arms = list(self._limits)
        try:
            episode = Episode(folder)
            self._paths = executed_paths(episode, arms)
        except EpisodeError as error:
            raise ValueError(f"replay: {error}") from error
        if not episode.closed:
            self.get_logger().warning(f"{episode.path} breaks off; what it holds is replayed")
        self._heard: dict[str, Heard] = {}
        self._positions: dict[str, np.ndarray] = {}
        self._state = ""
        self._start = threading.Event()
        self._end = threading.Event()
        self._announcer = self.create_publisher(String, "~/state", STATE)
        self._senders = {
            arm: self.create_publisher(JointTrajectory, f"/{arm}/command", COMMAND) for arm in arms
        }
        for arm in arms:
            self.create_subscription(
                ArmStatus, f"/{arm}/status", partial(self._on_status, arm), STATE
            )
            self.create_subscription(
                JointState, f"/{arm}/joint_states", partial(self._on_state, arm), JOINTS_QOS
            )
        self.create_service(Trigger, "~/start", self._on_start)
        self._announce("waiting")
        self._diagnostics = NodeDiagnostics(self, "playback", lambda: of_replay(self._state))
        self._player = self.start_thread(self._play, "player")

    def close(self) -> None:
        self.time.poke(self._end)
        self._start.set()
        self._player.join()

    # -- what comes in ----------------------------------------------------------------------

    def _on_status(self, arm: str, message: ArmStatus) -> None:
        mode, since, before = read_mode(message.mode), None, self._heard.get(arm)
        if mode == Mode.HOLDING:
            since = before.holding_ns if before is not None else None
            since = self.time.now_ns() if since is None else since
        self._heard[arm] = Heard(mode, message.reason, since, time.monotonic())

    def _on_state(self, arm: str, message: JointState) -> None:
        position = dict(zip(message.name, message.position, strict=False))
        if all(joint in position for joint in JOINTS):
            self._positions[arm] = np.array([position[joint] for joint in JOINTS])

    def _on_start(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._state == "ready"
        if response.success:
            self._start.set()
        else:
            response.message = f"replay is {self._state}; it can be started while it is ready"
        return response

    # -- what goes out ----------------------------------------------------------------------

    def _play(self) -> None:
        """The whole story; ends early when the node is closed."""
        if not self._wait_until_able():
            return
        first = {arm: path.position[0] for arm, path in self._paths.items()}
        for _ in range(RAMPS):
            self._announce("ramping")
            if not self._send(self._ramps_to(first)):
                return
            if self._wait_for_start and not self._start.is_set():
                self._announce("ready")
                self._start.wait()
            if self._end.is_set():
                return
            away = self._away_from(first)
            if not away:
                break  # else somebody moved an arm meanwhile: it is brought back
        else:
            self._stop(f"{away} after {RAMPS} ramps")
            return
        self._announce("playing")
        if self._send(self._paths):
            self._announce("done")

    def _ramps_to(self, first: dict[str, np.ndarray]) -> dict[str, JointPath]:
        """From where the arms are, at the same time for all."""
        courses = {
            arm: ramp(self._positions[arm], place, self._ramp_rad_s, self._limits[arm])
            for arm, place in first.items()
        }
        lasts_s = max(SHORTEST_RAMP_S, *(course.duration_s for course in courses.values()))
        return {
            arm: _points(Ramp(course.start, course.end, lasts_s)) for arm, course in courses.items()
        }

    def _away_from(self, first: dict[str, np.ndarray]) -> str:
        """Which arm is not at its first pose, once the arms had time to settle; or empty.

        Without the grippers: whatever they hold keeps them from closing.
        """
        looks = round(SETTLE_S / LOOK_S)
        while True:
            off = {
                arm: np.abs(self._positions[arm] - first[arm])[: len(ARM_JOINTS)].max()
                for arm in first
            }
            away = [
                f"{arm} is {angle:.2f} rad away from its first pose"
                for arm, angle in off.items()
                if angle > AT_START_RAD
            ]
            if not away or looks == 0 or self._end.wait(LOOK_S):
                return ", ".join(away)
            looks -= 1

    def _wait_until_able(self) -> bool:
        """Until both bridges take commands and the arms' positions are known."""
        said = ""
        while not self._end.is_set():
            missing = {arm: self._lacks(arm) for arm in self._paths if self._lacks(arm)}
            if not missing and self.time.now_ns() > 0:
                return True
            each = ", ".join(f"{arm} ({lack})" for arm, lack in missing.items())
            words = f"waiting for the bridges of {each} to take commands"
            if words != said:
                self.get_logger().info(words)
                said = words
            self._end.wait(LOOK_S)
        return False

    def _lacks(self, arm: str) -> str:
        known = arm in self._positions and arm in self._heard
        return self._heard[arm].lacks if known else "silent"

    def _send(self, paths: dict[str, JointPath]) -> bool:
        """Sends the paths in pieces until their end has passed; False if that was cut short."""
        start_ns = self.time.now_ns() + LEAD_NS
        end_ns = max(path.end_ns for path in paths.values())
        at_ns = 0
        while True:
            if reason := self._obstacle(paths, start_ns):
                self._stop(reason)
                return False
            for arm, path in paths.items():
                if at_ns == 0 or at_ns < path.end_ns:  # an arm that is there has its whole path
                    piece = path.window(at_ns, PIECE_NS)
                    self._senders[arm].publish(_trajectory(piece, start_ns))
            if at_ns >= end_ns:
                return True
            at_ns = min(at_ns + PERIOD_NS, end_ns)
            if not self.time.sleep_until(start_ns + at_ns, self._end) and self._end.is_set():
                return False

    def _obstacle(self, paths: dict[str, JointPath], start_ns: int) -> str:
        """Why the arms do not do what they are sent; empty while they do."""
        now_ns = self.time.now_ns()
        for arm, path in paths.items():
            heard = self._heard[arm]
            if heard.mode in DEAF_MODES:
                return f"{arm} takes no commands ({heard.reason or 'see its status'})"
            if heard.gone:
                return f"no status from {arm} for {GONE_S:g} s: is its bridge still there?"
            if heard.holding_ns is not None and now_ns < start_ns + path.end_ns:
                held_ns = now_ns - max(heard.holding_ns, start_ns)
                if held_ns > HOLDING_NS:
                    return (
                        f"{arm} holds instead of following ({heard.reason or 'see its status'}); "
                        "do the commands reach it in time?"
                    )
        return ""

    def _stop(self, reason: str) -> None:
        self._announce(f"stopped: {reason}")
        self.get_logger().error(f"replay stopped: {reason}")

    def _announce(self, state: str) -> None:
        self._state = state
        self._announcer.publish(String(data=state))
        self.get_logger().info(state)


def _points(course: Ramp) -> JointPath:
    times_s = np.linspace(0, course.duration_s, round(course.duration_s / RAMP_POINT_S) + 1)
    motion = [course.at(time_s) for time_s in times_s.tolist()]
    return JointPath(
        np.rint(times_s * 1e9).astype(np.int64),
        np.array([position for position, _, _ in motion]),
        np.array([velocity for _, velocity, _ in motion]),
    )


def _trajectory(piece: JointPath, start_ns: int) -> JointTrajectory:
    """The piece, stamped with the time of its first point: so it is neither late nor ahead."""
    first_ns = int(piece.times_ns[0])
    message = JointTrajectory(joint_names=list(JOINTS))
    set_stamp(message.header.stamp, start_ns + first_ns)
    rows = zip(piece.times_ns, piece.position.tolist(), piece.velocity.tolist(), strict=True)
    for time_ns, position, velocity in rows:
        point = JointTrajectoryPoint(positions=position, velocities=velocity)
        set_stamp(point.time_from_start, int(time_ns) - first_ns)
        message.points.append(point)
    return message


def main(args: list[str] | None = None) -> int:
    """The process `replay`; 2 for an episode that does not exist or cannot be read."""
    return run(Replay, args)


if __name__ == "__main__":
    raise SystemExit(main())

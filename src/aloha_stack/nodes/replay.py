"""Replay: what the followers executed in an episode, once more through the same bridges.

The path is sent piece by piece, a little ahead of its time, so that the arms come to rest soon when
this process dies. The pieces overlap and their points stand at fixed times, so that a late or lost
piece changes nothing.
"""

import threading
from functools import partial
from typing import Any

import numpy as np
from aloha_interfaces.msg import ArmStatus
from builtin_interfaces.msg import Duration, Time
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.playback import JointPath, executed_paths, ramp, ramp_duration_s
from aloha_stack.episodes.reader import Episode
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import JOINTS

PIECE_NS = 1_000_000_000
PERIOD_NS = 250_000_000
LEAD_NS = 100_000_000
"""Both arms have their first piece before it begins."""

LOOK_S = 0.05
READY_MODES = (ArmStatus.FOLLOWING, ArmStatus.HOLDING)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


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
        arms = [arm.name for arm in load_robot(name).followers]
        try:
            episode = Episode(folder)
            self._paths = executed_paths(episode, arms)
        except EpisodeError as error:
            raise ValueError(f"replay: {error}") from error
        if not episode.closed:
            self.get_logger().warning(f"{episode.path} breaks off; what it holds is replayed")
        self._modes: dict[str, ArmStatus] = {}
        self._positions: dict[str, np.ndarray] = {}
        self._state = ""
        self._start = threading.Event()
        self._end = threading.Event()
        self._announcer = self.create_publisher(String, "~/state", LATCHED)
        self._senders = {
            arm: self.create_publisher(JointTrajectory, f"/{arm}/command", 1) for arm in arms
        }
        for arm in arms:
            self.create_subscription(
                ArmStatus, f"/{arm}/status", partial(self._on_status, arm), LATCHED
            )
            self.create_subscription(
                JointState, f"/{arm}/joint_states", partial(self._on_state, arm), 5
            )
        self.create_service(Trigger, "~/start", self._on_start)
        self._announce("waiting")
        self._player = threading.Thread(target=self._play, name="player")
        self._player.start()

    def close(self) -> None:
        self.time.poke(self._end)
        self._start.set()
        self._player.join()

    # -- what comes in ----------------------------------------------------------------------

    def _on_status(self, arm: str, message: ArmStatus) -> None:
        self._modes[arm] = message

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
        """The thread of the player; a failure ends the process."""
        try:
            self._tell()
        except Exception as error:
            self.fail(error)
            raise

    def _tell(self) -> None:
        """The whole story; ends early when the node is closed."""
        if not self._wait_until_able():
            return
        self._announce("ramping")
        now = {arm: self._positions[arm] for arm in self._paths}
        first = {arm: path.position[0] for arm, path in self._paths.items()}
        duration_s = max(ramp_duration_s(now[arm], first[arm], self._ramp_rad_s) for arm in now)
        if not self._send({arm: ramp(now[arm], first[arm], duration_s) for arm in now}):
            return
        if self._wait_for_start:
            self._announce("ready")
            self._start.wait()
        if self._end.is_set():
            return
        self._announce("playing")
        if self._send(self._paths):
            self._announce("done")

    def _wait_until_able(self) -> bool:
        """Until both bridges take commands and the arms' positions are known."""
        said = ""
        while not self._end.is_set():
            missing = [
                arm
                for arm in self._paths
                if arm not in self._positions
                or arm not in self._modes
                or self._modes[arm].mode not in READY_MODES
            ]
            if not missing and self.time.now_ns() > 0:
                return True
            words = f"waiting for the bridges of {', '.join(missing)} to follow or hold"
            if words != said:
                self.get_logger().info(words)
                said = words
            self._end.wait(LOOK_S)
        return False

    def _send(self, paths: dict[str, JointPath]) -> bool:
        """Sends the paths in pieces until their end has passed; False if that was cut short."""
        start_ns = self.time.now_ns() + LEAD_NS
        end_ns = max(path.end_ns for path in paths.values())
        at_ns = 0
        while True:
            if reason := self._obstacle():
                self._announce(f"stopped: {reason}")
                self.get_logger().error(f"replay stopped: {reason}")
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

    def _obstacle(self) -> str:
        for arm in self._paths:
            status = self._modes[arm]
            if status.mode in (
                ArmStatus.INACTIVE,
                ArmStatus.E_STOPPED,
                ArmStatus.PARKING,
                ArmStatus.FAULT,
            ):
                return f"{arm} takes no commands ({status.reason or 'see its status'})"
        return ""

    def _announce(self, state: str) -> None:
        self._state = state
        self._announcer.publish(String(data=state))
        self.get_logger().info(state)


def _trajectory(piece: JointPath, start_ns: int) -> JointTrajectory:
    """The piece, stamped with the time of its first point: so it is neither late nor ahead."""
    first_ns = int(piece.times_ns[0])
    message = JointTrajectory(joint_names=list(JOINTS))
    message.header.stamp = Time(**_split(start_ns + first_ns))
    rows = zip(piece.times_ns, piece.position.tolist(), piece.velocity.tolist(), strict=True)
    for time_ns, position, velocity in rows:
        point = JointTrajectoryPoint(positions=position, velocities=velocity)
        point.time_from_start = Duration(**_split(int(time_ns) - first_ns))
        message.points.append(point)
    return message


def _split(time_ns: int) -> dict[str, int]:
    sec, nanosec = divmod(time_ns, 1_000_000_000)
    return {"sec": sec, "nanosec": nanosec}


def main(args: list[str] | None = None) -> int:
    """The process `replay`; 2 for an episode that does not exist or cannot be read."""
    return run(Replay, args)


if __name__ == "__main__":
    raise SystemExit(main())

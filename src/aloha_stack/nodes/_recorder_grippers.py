"""Episodes by the leaders' grippers: engaging begins one, handles held closed end it."""

from aloha_interfaces.msg import TeleopState
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState

from aloha_stack.control.gestures import Engagement, HeldClosed, HoldSettings
from aloha_stack.episodes.cdr import stamp_ns
from aloha_stack.nodes._recorder_taps import Tap, Taps
from aloha_stack.robot.description import Arm, Robot
from aloha_stack.robot.joints import GRIPPER

FRESH_NS = 300_000_000
AHEAD_NS = 100_000_000
"""How old a sample may be (ROS time), and how far ahead of our clock."""


class GripperControl:
    """Reads gestures from the newest messages of the taps; to be called some 20 times a second."""

    def __init__(self, robot: Robot, taps: Taps, stop_hold_s: float) -> None:
        self._teleop = taps.find("/teleop/state")
        self._leaders = [
            (arm, tap)
            for arm in robot.leaders
            if (tap := taps.find(f"/{arm.name}/joint_states")) is not None
        ]
        self._settings = HoldSettings(hold_s=stop_hold_s)
        self._engagement = Engagement()
        self._seen = b""
        self._hold = self._new_hold()

    def _new_hold(self) -> HeldClosed:
        return HeldClosed([arm.name for arm, _ in self._leaders], self._settings)

    def engaged(self) -> bool:
        """Whether the operator has just engaged teleoperation."""
        if self._teleop is None or self._teleop.latest is self._seen:
            return False
        self._seen = self._teleop.latest
        return self._engagement.saw(deserialize_message(self._seen, TeleopState).state)

    def begin(self) -> None:
        """An episode begins: handles have to be opened before they can end it."""
        self._hold = self._new_hold()

    def ends(self, now_ns: int) -> int | None:
        """When (ns of ROS time) the hold began that ends the episode now; None if none does."""
        if self._settings.hold_s <= 0:
            return None
        openings = {arm.name: _opening(arm, tap, now_ns) for arm, tap in self._leaders}
        began_s = self._hold.look(now_ns * 1e-9, openings)
        return None if began_s is None else round(began_s * 1e9)


def _opening(arm: Arm, tap: Tap, now_ns: int) -> float | None:
    """Of the handle, 0 closed … 1 open; None where the newest sample is not fresh."""
    data = tap.latest
    if not data or not -AHEAD_NS <= now_ns - stamp_ns(data) <= FRESH_NS:
        return None
    message = deserialize_message(data, JointState)
    angles = dict(zip(message.name, message.position, strict=False))
    return float(arm.gripper.normalise_joint(angles[GRIPPER])) if GRIPPER in angles else None

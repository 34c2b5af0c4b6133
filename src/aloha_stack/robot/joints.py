"""Names and orders that everything else shares (ALOHA's, as in Interbotix/aloha)."""

LEADERS = ("leader_left", "leader_right")
FOLLOWERS = ("follower_left", "follower_right")
ARMS = LEADERS + FOLLOWERS
SIDES = ("left", "right")

ARM_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
GRIPPER = "gripper"
JOINTS = (*ARM_JOINTS, GRIPPER)
"""The seven joints of an arm that are addressed on the bus, rad; the order of every (7,) array."""

FINGERS = ("left_finger", "right_finger")
STATE_JOINTS = JOINTS + FINGERS
"""The nine entries of joint_states: seven in rad, two in m (as xs_sdk orders them)."""

CAMERAS = ("cam_high", "cam_low", "cam_left_wrist", "cam_right_wrist")


def side_of(arm: str) -> str:
    """`left` or `right`, from an arm's name."""
    return arm.rsplit("_", 1)[1]


def leader_of(follower: str) -> str:
    """The leader arm that a follower arm follows."""
    return f"leader_{side_of(follower)}"

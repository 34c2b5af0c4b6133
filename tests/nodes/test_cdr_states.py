"""Messages that are serialised without ROS are what ROS reads back, field by field."""

from aloha_interfaces.msg import ArmStatus, PlayerState, SafetyState, TaskState, TeleopState
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, JointState

from aloha_stack.episodes.cdr_states import (
    ArmStatusFields,
    TaskStateFields,
    arm_status,
    camera_info,
    player_state,
    safety_state,
    task_state,
    teleop_state,
)
from aloha_stack.episodes.cdr_writing import compressed_image, joint_state

STAMP_NS = 12_345_678_901


def test_an_arm_s_status_is_read_back() -> None:
    fields = ArmStatusFields("follower_left", 3, "waiting for commands", True, 0.25, 7, 6, 5, 4, 3)
    read = deserialize_message(arm_status(STAMP_NS, fields), ArmStatus)
    expected = ArmStatus(
        arm="follower_left",
        mode=3,
        reason="waiting for commands",
        torque=True,
        read_age=0.25,
        cycles=7,
        overruns=6,
        failed_reads=5,
        rejected_commands=4,
        clamped_commands=3,
    )
    expected.header.stamp.sec, expected.header.stamp.nanosec = 12, 345_678_901
    assert read == expected


def test_the_states_of_teleop_and_safety_are_read_back() -> None:
    teleop = deserialize_message(teleop_state(STAMP_NS, 3, "why"), TeleopState)
    assert (teleop.state, teleop.reason, teleop.header.stamp.sec) == (3, "why", 12)
    safety = deserialize_message(safety_state(STAMP_NS), SafetyState)
    assert (safety.e_stopped, safety.cause, safety.header.stamp.nanosec) == (False, "", 345_678_901)
    assert list(safety.acknowledged) == list(safety.pending) == []


def test_the_player_s_state_is_read_back() -> None:
    read = deserialize_message(player_state(STAMP_NS, 6, 2), PlayerState)
    expected = PlayerState(state=PlayerState.HUMAN, commander=PlayerState.OPERATOR, chunk_age=-1.0)
    expected.header.stamp.sec, expected.header.stamp.nanosec = 12, 345_678_901
    assert read == expected


def test_the_task_s_state_is_read_back() -> None:
    fields = TaskStateFields("insertion", 999, 2, 3, 4, 1.5, "performing", 8, 0.75)
    read = deserialize_message(task_state(STAMP_NS, fields), TaskState)
    assert (read.task, read.seed, read.episode) == ("insertion", 999, 8)
    assert (read.reward, read.best_reward, read.max_reward) == (2, 3, 4)
    assert (read.elapsed, read.operator_state, read.real_time_factor) == (1.5, "performing", 0.75)


def test_a_camera_s_info_is_read_back() -> None:
    read = deserialize_message(camera_info(STAMP_NS, "cam_high_optical", 320, 240), CameraInfo)
    expected = CameraInfo(width=320, height=240)
    expected.header.stamp.sec, expected.header.stamp.nanosec = 12, 345_678_901
    expected.header.frame_id = "cam_high_optical"
    assert read == expected


def test_joints_and_pictures_are_read_back() -> None:
    names, numbers = ("a", "bcd"), (1.0, -2.5)
    joints = deserialize_message(joint_state(STAMP_NS, names, numbers, (), numbers), JointState)
    assert tuple(joints.name) == names
    assert tuple(joints.position) == tuple(joints.effort) == numbers
    assert not joints.velocity
    image = deserialize_message(compressed_image(STAMP_NS, "f", b"\xff\xd8abc"), CompressedImage)
    assert bytes(image.data) == b"\xff\xd8abc"

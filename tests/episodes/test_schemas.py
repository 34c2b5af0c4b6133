"""Message definitions come from the installation, whole, and errors say what to look for."""

from pathlib import Path

import pytest
from mcap_ros2._dynamic import generate_dynamic
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from aloha_stack.episodes import schema
from aloha_stack.episodes.errors import SchemaError


def test_definition_of_nested_types_decodes_what_ros_serialised() -> None:
    message = JointTrajectory(joint_names=["waist"])
    point = JointTrajectoryPoint(positions=[0.25])
    point.time_from_start.nanosec = 7
    message.points.append(point)
    name = "trajectory_msgs/msg/JointTrajectory"
    decoded = generate_dynamic(name, schema.definition(name))[name](serialize_message(message))
    assert decoded.joint_names == ["waist"]
    assert decoded.points[0].positions == [0.25]
    assert decoded.points[0].time_from_start.nanosec == 7


def test_definition_with_rules_of_signs_in_its_comments_decodes() -> None:
    name = "sensor_msgs/msg/CameraInfo"
    message = CameraInfo(width=640)
    message.roi.width = 12
    decoded = generate_dynamic(name, schema.definition(name))[name](serialize_message(message))
    assert (decoded.width, decoded.roi.width) == (640, 12)


def test_each_dependency_stands_once_behind_rosbag2s_separator() -> None:
    text = schema.definition("trajectory_msgs/msg/JointTrajectory")
    lines = text.splitlines()
    marks = [index for index, line in enumerate(lines) if line.startswith("MSG: ")]
    assert [lines[index] for index in marks] == [
        "MSG: std_msgs/Header",
        "MSG: builtin_interfaces/Time",
        "MSG: trajectory_msgs/JointTrajectoryPoint",
        "MSG: builtin_interfaces/Duration",
    ]
    assert all(lines[index - 1] == "=" * 80 for index in marks)


def test_own_messages_are_found_like_all_others() -> None:
    text = schema.definition("aloha_interfaces/msg/TaskState")
    assert "best_reward" in text
    assert "MSG: std_msgs/Header" in text


def test_type_hash_is_the_one_that_publishers_announce() -> None:
    assert schema.type_hash("sensor_msgs/msg/JointState").startswith("RIHS01_")
    assert len(schema.type_hash("sensor_msgs/msg/JointState")) == len("RIHS01_") + 64


def test_types_without_header_are_recognised() -> None:
    assert schema.starts_with_header("sensor_msgs/msg/JointState")
    assert not schema.starts_with_header("std_msgs/msg/String")


@pytest.mark.parametrize("name", ["JointState", "sensor_msgs.msg.JointState", "a/b/c/d", ""])
def test_name_that_is_no_type_is_refused(name: str) -> None:
    with pytest.raises(SchemaError, match="package/msg/Name"):
        schema.definition(name)


def test_missing_type_names_its_file_and_where_it_was_sought(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=f"nowhere_msgs/msg/Nothing.msg.*{tmp_path}"):
        schema.definition("nowhere_msgs/msg/Nothing", [tmp_path])

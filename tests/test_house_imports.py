"""The import rules of the house hold, and the check of them can fail."""

from pathlib import Path

import pytest

from import_rules import MAY_IMPORT, NODES, broken_rules

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "aloha_stack"


def test_no_import_crosses_the_house_rules() -> None:
    assert broken_rules(PACKAGE) == []


def test_every_folder_has_a_rule() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders - {NODES} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("control/limits.py", "import rclpy"),
        ("control/limits.py", "from mujoco import MjModel"),
        ("control/limits.py", "def f():\n    from sensor_msgs.msg import JointState"),
        ("robot/joints.py", "import dm_control.mjcf"),
        ("robot/joints.py", "from aloha_stack.control import limits"),
        ("robot/joints.py", "from ..control import limits"),
        ("robot/joints.py", "from .. import control"),
        ("robot/joints.py", "from aloha_stack import control"),
        ("episodes/writer.py", "import aloha_interfaces.msg"),
        ("episodes/writer.py", "from rosgraph_msgs.msg import Clock"),
        ("twin/world.py", "from aloha_stack.nodes.twin import TwinNode"),
        ("twin/world.py", "from aloha_stack import cameras"),
        ("cameras/v4l2.py", "from aloha_stack.twin import world"),
        ("launch/plan.py", "import aloha_stack.robot.joints"),
        ("analysis/plots.py", "import gym_aloha"),
        ("nodes/twin.py", "import mujoco"),
        ("demo.py", "from aloha_stack.nodes import session"),
        ("cli.py", "import rclpy.node"),
        ("evaluate.py", "import dynamixel_sdk"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, path: str, line: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line + "\n")
    [found] = broken_rules(tmp_path)
    assert found.startswith(f"{path}:")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("nodes/twin.py", "from aloha_stack.twin.world import World\nimport rclpy"),
        ("twin/world.py", "import mujoco\nfrom aloha_stack.robot import joints"),
        ("control/limits.py", "from . import pacing\nfrom ..robot import joints"),
        ("cameras/twin.py", "from aloha_stack.twin import snapshots"),
        ("demo.py", "from aloha_stack import graph"),
        ("cli.py", "from aloha_stack.nodes import session"),
    ],
)
def test_an_allowed_import_passes(tmp_path: Path, path: str, line: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line + "\n")
    assert broken_rules(tmp_path) == []

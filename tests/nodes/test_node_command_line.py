"""What every node says to --help, to words that it does not know and to mistyped parameters."""

import os
import subprocess
import sys

import pytest
import rclpy

from aloha_stack.nodes import safety, twin
from aloha_stack.nodes._help import help_text
from aloha_stack.nodes._node import run
from aloha_stack.nodes._parameters import refuse_unknown_parameters
from aloha_stack.nodes.arm_bridge import ArmBridge
from aloha_stack.nodes.description import Description
from aloha_stack.nodes.policy import PolicyNode
from aloha_stack.nodes.recorder import Recorder
from aloha_stack.nodes.safety import Safety
from aloha_stack.nodes.teleop import Teleop
from aloha_stack.nodes.twin import TwinNode
from nodes.domains import free_domain


@pytest.fixture
def ros(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    rclpy.init()
    yield
    rclpy.try_shutdown()


def given(**values):
    return [rclpy.parameter.Parameter(name, value=value) for name, value in values.items()]


@pytest.mark.parametrize(
    "kind", [ArmBridge, Description, PolicyNode, Recorder, Safety, Teleop, TwinNode]
)
def test_help_tells_type_default_range_and_meaning_and_starts_nothing(kind, capsys):
    assert run(kind, args=["--help"]) == 0
    assert not rclpy.ok()
    out = capsys.readouterr().out
    name = kind.__module__.rpartition(".")[2]
    assert f"usage: ros2 run aloha_stack {name} " in out
    assert "robot (str, '" in out
    assert out == help_text(kind) + "\n"


def test_help_shows_bounds_and_what_must_be_given():
    assert "  seed (int, 0, 0 … 4294967295)\n      where the objects" in help_text(TwinNode)
    assert "autostart" not in help_text(TwinNode)
    told = help_text(ArmBridge)
    assert "  arm (str, required)" in told
    assert "arm_bridge --ros-args -p arm:=VALUE" in told
    assert "  autostart (bool, True)" in told
    assert "  xs_namespace (str, '/xs_{arm.name}')" in told


@pytest.mark.parametrize("module", [safety, twin])
def test_the_process_answers_help(module):
    command = [sys.executable, "-m", module.__name__, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0
    assert "  robot (str, " in done.stdout


def test_words_that_are_no_ros_arguments_are_refused(capsys):
    assert run(Safety, args=["robot:=twin"]) == 2
    assert "'robot:=twin' is not understood" in capsys.readouterr().err
    assert not rclpy.ok()


@pytest.mark.parametrize(
    ("name", "hint"), [("min_free_gb", "did you mean min_free_gib"), ("zzz", "there is ")]
)
def test_a_mistyped_parameter_ends_the_node_with_its_name(capfd, monkeypatch, name, hint):
    monkeypatch.setitem(os.environ, "ROS_DOMAIN_ID", str(free_domain()))
    assert run(Recorder, args=["--ros-args", "-p", f"{name}:=1.0"]) == 2
    assert f"/recorder: there is no parameter '{name}'; {hint}" in capfd.readouterr().err


def test_parameters_that_every_node_of_ros_has_are_none_of_them(ros):
    overrides = given(**{"use_sim_time": False, "qos_overrides./clock.subscription.depth": 3})
    node = rclpy.create_node("plain", parameter_overrides=overrides)
    refuse_unknown_parameters(node)
    node.destroy_node()


def test_the_help_is_not_imported_by_a_start():
    script = "import sys, aloha_stack.nodes.safety; print('aloha_stack.nodes._help' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"

"""The commands of ./aloha: help with an example, and refusals that list what exists."""

import subprocess
from pathlib import Path

import pytest

from aloha_stack import cli

ROOT = Path(__file__).resolve().parents[1]
NAMES = [command.name for command in cli.COMMANDS]


def aloha(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "aloha", *arguments], capture_output=True, text=True, check=False, cwd="/"
    )


def test_an_unknown_command_is_refused_with_a_list() -> None:
    done = aloha("dance")
    assert done.returncode == 2
    assert "dance" in done.stderr
    assert all(name in done.stderr for name in NAMES)


def test_help_lists_every_command() -> None:
    done = aloha("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in NAMES)


@pytest.mark.parametrize("name", ["call", "doctor", "python"])
def test_a_command_answers_help_by_whatever_way_it_is_run(name: str) -> None:
    done = aloha(name, "--help")
    assert done.returncode == 0
    assert f"./aloha {name}" in done.stdout


def test_python_runs_where_ros_and_the_interfaces_are() -> None:
    code = "import rclpy, sys; from aloha_interfaces.action import RecordEpisode; sys.exit(7)"
    assert aloha("python", "-c", code).returncode == 7


def test_a_command_has_stdout_to_itself() -> None:
    assert aloha("python", "-c", "print('only this')").stdout == "only this\n"


def test_a_failing_check_fails_the_test_command(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(command[2])
        return subprocess.CompletedProcess(command, 1 if command[2] == "mypy" else 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert cli.run_tests(["-k", "nothing"]) == 1
    assert ran == ["ruff", "ruff", "mypy", "pytest"]

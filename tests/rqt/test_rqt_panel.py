"""`./aloha panel` as a process: without a screen, and without the ports of the twin."""

import os
import subprocess
import sys
from pathlib import Path

from nodes.domains import free_domain

ABSENT = ("ALOHA_PORTS", "DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def panel(*words: str, **given: str) -> subprocess.CompletedProcess[str]:
    """The process, in an environment without ABSENT but for what is given."""
    environment = {name: value for name, value in os.environ.items() if name not in ABSENT}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment |= {"PYTHONPATH": path, "ROS_DOMAIN_ID": str(free_domain()), **given}
    command = [sys.executable, "-m", "aloha_stack.cli", "panel", "--seconds", "0.1", *words]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_panel_without_a_screen_says_so_in_a_line() -> None:
    ended = panel()
    assert ended.returncode == 2
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert "there is no screen" in line
    assert "--pictures DIR" in line


def test_pictures_need_no_screen(tmp_path: Path) -> None:
    ended = panel("--pictures", str(tmp_path))
    assert "screen" not in ended.stderr
    assert ended.returncode == 1  # it ran, and was ended before it had any


def test_a_panel_needs_no_ports(tmp_path: Path) -> None:
    ended = panel("--robot", "twin", QT_QPA_PLATFORM="offscreen")
    assert ended.returncode == 0, ended.stderr

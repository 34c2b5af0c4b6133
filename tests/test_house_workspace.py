"""colcon finds the three packages by both routes, and builds them into what `ros2 launch` needs."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"aloha_interfaces", "aloha_stack", "rqt_aloha"}
NODES = {
    *("arm_bridge", "camera", "description", "recorder", "replay", "safety", "teleop", "twin"),
}


def colcon(folder: Path, *arguments: str) -> str:
    """Output of colcon in `folder`, with its logs kept out of it."""
    log = ["--log-base", "/dev/null"]
    done = subprocess.run(
        [sys.executable, "-m", "colcon", *log, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def link_packages(source: Path) -> None:
    """The three packages as links in an existing workspace's src folder."""
    source.mkdir()
    (source / "aloha_stack").symlink_to(ROOT)
    for name in ("aloha_interfaces", "rqt_aloha"):
        (source / name).symlink_to(ROOT / "ros2_ws/src" / name)


def test_colcon_lists_the_packages_in_the_projects_workspace() -> None:
    assert set(colcon(ROOT / "ros2_ws", "list", "--names-only").split()) == PACKAGES


def test_colcon_lists_the_packages_linked_into_another_workspace(tmp_path: Path) -> None:
    link_packages(tmp_path / "src")
    assert set(colcon(tmp_path, "list", "--names-only").split()) == PACKAGES


def test_colcon_installs_nodes_launch_files_and_robot_files(tmp_path: Path) -> None:
    link_packages(tmp_path / "src")
    colcon(tmp_path, "build", "--packages-select", "aloha_stack", "rqt_aloha")
    prefix = tmp_path / "install/aloha_stack"
    assert {path.name for path in (prefix / "lib/aloha_stack").iterdir()} >= NODES
    share = prefix / "share/aloha_stack"
    for folder in ("launch", "config/robots", "config/arms"):
        installed = {path.name for path in (share / folder).iterdir()}
        assert installed == {path.name for path in (ROOT / folder).iterdir() if path.is_file()}
    assert (prefix / "share/ament_index/resource_index/packages/aloha_stack").is_file()
    assert (tmp_path / "install/rqt_aloha/share/rqt_aloha/plugin.xml").is_file()

"""docker/ names only what exists: packages, paths, targets, devices, commands. Nothing is built."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from aloha_stack import cli
from aloha_stack.launch.arguments import declared_arguments
from aloha_stack.launch.grammar import load_launch_file
from aloha_stack.robot.description import load_robot

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker/Dockerfile"
HOME = "/opt/aloha_stack"
KNOWN = Path(__file__).with_name("apt_packages.txt")
PROFILE_MIB, WITH_IMAGES = 32, 3
"""A segment of config/fastdds.xml; camera, recorder and policy have one."""


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile: name and rest, lines joined, comments left out."""
    lines = [s for s in DOCKERFILE.read_text().splitlines() if not s.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, _, rest in pairs]


def of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]


def packages() -> list[str]:
    """All that the Dockerfile has apt-get install."""
    runs = [rest for rest in of("RUN") if "apt-get install" in rest]
    words = (re.split(r"apt-get install|&& rm", rest)[1].split() for rest in runs)
    return [word for several in words for word in several if not word.startswith("--")]


def targets() -> set[str]:
    return {rest.split()[-1] for rest in of("FROM")}


def test_every_package_was_looked_up() -> None:
    known = {s for s in KNOWN.read_text().splitlines() if s and not s.startswith("#")}
    assert len(packages()) > 15
    assert set(packages()) == known


def test_the_project_starts_with_what_is_installed() -> None:
    """`./aloha` and the README name what a machine needs."""
    readme = (ROOT / "README.md").read_text()
    asked = re.search(r"^sudo apt install (.+)$", readme, re.M)
    assert asked is not None
    assert set(asked.group(1).split()) <= set(packages())


def test_stages_build_on_each_other_and_end_without_root() -> None:
    stages: dict[str, tuple[str, str]] = {}
    name = user = ""
    for instruction, rest in instructions():
        if instruction == "FROM":
            parent, _, name = rest.split()
            user = stages[parent][1] if parent in stages else "root"
            stages[name] = (parent, user)
        elif instruction == "USER":
            stages[name] = (stages[name][0], rest)
    assert set(stages) == {"base", "development", "run", "cuda"}
    assert {user for _, user in stages.values()} == {"aloha"}
    assert stages["cuda"][0] == "run"
    assert "jazzy" in of("ARG")[0]


def test_torch_is_of_the_version_that_is_pinned() -> None:
    [torch] = [rest.removeprefix("TORCH=") for rest in of("ARG") if rest.startswith("TORCH=")]
    pinned = (ROOT / "requirements/torch.txt").read_text()
    assert re.search(rf"^{re.escape(torch)}\+cpu$", pinned, re.M)


def test_the_project_is_built_by_its_own_means() -> None:
    built = " ".join(of("RUN"))
    for path in ("./aloha", "ros2_ws"):
        assert path in built
        assert (ROOT / path).exists()
    ignored = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().split()
    assert {".git", ".venv", ".build", "out"} <= set(ignored)
    tracked = {"src", "config", "launch", "requirements", "ros2_ws", "aloha", "setup.py"}
    assert not tracked & set(ignored)


def test_compose_builds_targets_that_exist_by_paths_that_exist(
    services: dict[str, dict[str, Any]],
) -> None:
    for service in services.values():
        build = service["build"]
        context = (ROOT / "docker" / build["context"]).resolve()
        assert context == ROOT
        assert (context / build["dockerfile"]) == DOCKERFILE
        assert build["target"] in targets()
        assert service["image"] == f"aloha_stack:{build['target']}"


def test_compose_mounts_folders_of_the_tree_where_the_image_has_them(
    services: dict[str, dict[str, Any]],
) -> None:
    for service in services.values():
        for volume in service["volumes"]:
            source, target, *_ = re.sub(r"\$\{\w+:-(.+?)\}", r"\1", volume).split(":")
            if source.startswith(".."):
                tree = (ROOT / "docker" / source).resolve()
                assert tree in (ROOT, ROOT / "out") or tree.is_dir()
            if target.startswith(HOME):
                assert target.removeprefix(HOME) == (
                    "" if source == ".." else f"/{Path(source).name}"
                )


def test_compose_passes_the_arms_and_cameras_of_the_robot_by_their_udev_names(
    services: dict[str, dict[str, Any]],
) -> None:
    robot = load_robot("aloha")
    needed = {arm.port for arm in robot.arms.values()}
    needed |= {camera.source.removeprefix("v4l2:") for camera in robot.cameras.values()}
    rules = (ROOT / "config/udev/99-aloha.rules").read_text()
    named = {f"/dev/{name}" for name in re.findall(r'SYMLINK\+="(\w+)"', rules)}
    for name in ("robot", "rollout", "development"):
        devices = services[name]["devices"]
        assert {device.split(":")[0] for device in devices} == needed
        assert all(len(set(device.split(":"))) == 1 for device in devices)
        assert services[name]["group_add"] == ["dialout", "video"]
    assert needed <= named


def test_compose_gives_images_their_shared_memory_and_arms_their_time_to_park(
    services: dict[str, dict[str, Any]],
) -> None:
    profile = (ROOT / "config/fastdds.xml").read_text()
    assert f"<segment_size>{PROFILE_MIB * 2**20}</segment_size>" in profile
    for name in ("robot", "twin", "rollout", "development"):
        size = services[name]["shm_size"]
        assert size.endswith("gb")
        assert int(size[:-2]) * 1024 > 2 * WITH_IMAGES * PROFILE_MIB
    for service in services.values():
        assert service["stop_signal"] == "SIGINT"
        assert int(service["stop_grace_period"].removesuffix("s")) >= 90


def test_compose_keeps_to_this_host_unless_told_otherwise(
    services: dict[str, dict[str, Any]],
) -> None:
    for service in services.values():
        assert service["network_mode"] == "host"
        chosen = service["environment"]["ROS_AUTOMATIC_DISCOVERY_RANGE"]
        assert chosen == "${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
    assert "11811" in services["discovery"]["command"]


def test_compose_runs_commands_and_launch_arguments_that_exist(
    services: dict[str, dict[str, Any]],
) -> None:
    names = {command.name for command in cli.COMMANDS}
    ours = [
        one for one in services.values() if "entrypoint" not in one and one["command"][0] in names
    ]
    assert len(ours) == 4
    for service in ours:
        command, *words = service["command"]
        if command == "launch":
            root = load_launch_file(ROOT / f"launch/{words[0]}.launch.xml")
            known = declared_arguments(root, {"AMENT_PREFIX_PATH": ""})
            assert {word.partition(":=")[0] for word in words[1:]} <= set(known)


def test_what_the_files_tell_to_run_exists(services: dict[str, dict[str, Any]]) -> None:
    told = (ROOT / "docker/compose.yaml").read_text()
    for line in re.findall(r"^# +docker compose (.+?)(?:  .*)?$", told, re.M):
        words = shlex.split(line)
        assert words[-1] in services
        if "--profile" in words:
            assert services[words[-1]]["profiles"] == [words[words.index("--profile") + 1]]

"""./aloha sets up what is missing, resumes what was interrupted, and says what went wrong."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from house_setup import ROOT, Bench, load_launcher, make_tree

ALL = ["virtual environment", "packages", "torch", "interfaces"]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path, None, monkeypatch)
    monkeypatch.setattr(bench.launcher, "mend_cmake_paths", lambda venv: None)
    return bench


def test_the_first_start_does_every_step_and_the_second_none(bench: Bench) -> None:
    assert bench.start() == ALL
    assert bench.start() == []


@pytest.mark.parametrize("name", ["ros2_ws/src/aloha_interfaces", "requirements/interfaces"])
def test_a_changed_message_rebuilds_the_interfaces_alone(bench: Bench, name: str) -> None:
    bench.start()
    [message] = (bench.setup.root / name).rglob("State.msg")
    message.write_text("bool standing\n")
    assert bench.start() == ["interfaces"]


def test_messages_that_only_the_wheels_lack_are_built_for_them_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for distro, built in ((None, True), ("jazzy", False)):
        bench = Bench(tmp_path / str(distro), distro, monkeypatch)
        monkeypatch.setattr(bench.launcher, "mend_cmake_paths", lambda venv: None)
        bench.start()
        lacking = str(bench.setup.root / "requirements/interfaces")
        assert (lacking in bench.commands["interfaces"]) == built


def test_a_removed_message_rebuilds_the_interfaces(bench: Bench) -> None:
    bench.start()
    (bench.setup.root / "ros2_ws/src/aloha_interfaces/msg/State.msg").unlink()
    (bench.setup.install / "stale").mkdir(parents=True)
    assert bench.start() == ["interfaces"]
    assert not bench.setup.install.exists()


def test_changed_requirements_make_the_environment_anew(bench: Bench) -> None:
    bench.start()
    (bench.setup.venv / "left_over").touch()
    bench.setup.requirements[0].write_text("somepackage==2.0\n")
    assert bench.start() == ALL
    assert not (bench.setup.venv / "left_over").exists()


def test_a_moved_checkout_makes_its_own_environment(bench: Bench) -> None:
    bench.start()
    moved = bench.setup.root.rename(bench.setup.root.parent / "moved")
    bench.setup = bench.setup._replace(root=moved)
    assert bench.start() == ALL


@pytest.mark.parametrize("step", ["virtual environment", "packages"])
def test_a_half_made_environment_is_made_anew(bench: Bench, step: str) -> None:
    bench.failing = step
    assert bench.start()[-1] == step
    (bench.setup.venv / "half_installed").touch()
    bench.failing = None
    assert bench.start() == ALL
    assert not (bench.setup.venv / "half_installed").exists()


def test_failing_interfaces_keep_the_environment(bench: Bench) -> None:
    bench.failing = "interfaces"
    assert bench.start() == ALL
    bench.failing = None
    assert bench.start() == ["interfaces"]


def test_a_vanished_python_makes_the_environment_anew(bench: Bench) -> None:
    bench.start()
    bench.setup.python.unlink()
    bench.setup.python.symlink_to("/nonexistent/python3")
    assert bench.start() == ALL


def test_without_torch_all_else_goes_on(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.failing = "torch"
    assert bench.start() == ALL
    assert "torch.txt" in capsys.readouterr().err
    assert bench.start() == []


def test_a_half_made_torch_is_installed_over(bench: Bench) -> None:
    bench.start()
    assert "--force-reinstall" not in bench.commands["torch"]
    bench.launcher.torch_mark(bench.setup).file.unlink()
    (bench.setup.venv / "lib/python3.11/site-packages/torch").mkdir()
    assert bench.start() == ["torch"]
    assert "--force-reinstall" in bench.commands["torch"]


def test_an_environment_of_the_user_is_left_alone(bench: Bench) -> None:
    precious = bench.setup.venv / "precious"
    precious.parent.mkdir()
    precious.touch()
    with pytest.raises(bench.launcher.StepFailed, match="not made by"):
        bench.launcher.make_ready(bench.setup)
    assert precious.exists()


def test_lacking_tools_are_named_with_their_packages(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.launcher, "missing_tools", load_launcher().missing_tools)
    monkeypatch.setenv("PATH", str(bench.setup.root))
    with pytest.raises(bench.launcher.StepFailed, match=r"cmake.*make[\s\S]*apt install cmake gcc"):
        bench.launcher.make_ready(bench.setup)
    assert bench.steps == []


def test_a_python_without_wheels_is_refused_by_its_version(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.launcher, "PYTHONS", ((3, 2),))
    with pytest.raises(bench.launcher.StepFailed, match="install one of python3"):
        bench.launcher.choose_python(bench.setup)


# ---- a sourced ROS 2


def test_a_sourced_ros_is_used_if_this_python_finds_rclpy(monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = load_launcher()
    assert launcher.sourced_distro({"ROS_DISTRO": "jazzy"}) == "jazzy"  # the tests have rclpy
    assert launcher.sourced_distro({}) is None
    monkeypatch.setattr(launcher.importlib.util, "find_spec", lambda name: None)
    assert launcher.sourced_distro({"ROS_DISTRO": "jazzy"}) is None


def test_over_a_sourced_ros_no_wheels_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, "jazzy", monkeypatch)
    assert bench.start() == ALL
    assert "--system-site-packages" in bench.commands["virtual environment"]
    packages = " ".join(bench.commands["packages"])
    assert "ros_installed.txt" in packages
    assert "ros_wheels.txt" not in packages
    assert not (tmp_path / ".venv").exists()
    assert bench.start() == []


def test_sourced_ros_and_wheels_keep_separate_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    assert bench.start() == ALL
    wheels, bench.setup = bench.setup, bench.setup._replace(distro="jazzy")
    assert bench.start() == ALL
    bench.setup = wheels
    assert bench.start() == []


def test_the_sourced_environment_stays_below_the_projects(tmp_path: Path) -> None:
    launcher = load_launcher()
    setup = launcher.Setup(tmp_path, "jazzy")
    (setup.install / "local/lib/python3.12/dist-packages").mkdir(parents=True)
    given = {
        "AMENT_PREFIX_PATH": "/opt/ros/jazzy",
        "PYTHONPATH": "/opt/ros/jazzy/lib/python3.12/site-packages",
        "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp",
    }
    env = launcher.command_environment(setup, dict(given))
    assert env["AMENT_PREFIX_PATH"] == f"{setup.install}:/opt/ros/jazzy"
    first, second, last = env["PYTHONPATH"].split(":")
    assert first == f"{tmp_path}/src"
    assert second == f"{setup.install}/local/lib/python3.12/dist-packages"
    assert last == given["PYTHONPATH"]
    assert env["RMW_IMPLEMENTATION"] == "rmw_cyclonedds_cpp"
    assert "_ROS_WHEELS_BOOTSTRAP_COMPLETE" not in env


# ---- the environment of the commands


def test_defaults_yield_to_what_the_user_has_set(tmp_path: Path) -> None:
    launcher = load_launcher()
    setup = launcher.Setup(tmp_path, None)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/fastdds.xml").touch()
    env = launcher.command_environment(setup, {})
    assert env["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert env["MUJOCO_GL"] == "egl"
    assert env["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"
    assert env["FASTRTPS_DEFAULT_PROFILES_FILE"] == str(tmp_path / "config/fastdds.xml")
    chosen = {"MUJOCO_GL": "osmesa", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    chosen["FASTRTPS_DEFAULT_PROFILES_FILE"] = "mine.xml"
    assert chosen.items() <= launcher.command_environment(setup, dict(chosen)).items()


def test_compiled_modules_are_kept_and_lie_outside_the_tree(tmp_path: Path) -> None:
    launcher = load_launcher()
    (tmp_path / "src").mkdir()
    (tmp_path / "src/once.py").write_text("")
    setup = launcher.Setup(tmp_path, None)
    env = launcher.command_environment(setup, {"PYTHONDONTWRITEBYTECODE": "1"})
    subprocess.run([sys.executable, "-c", "import once"], env=env, check=True)
    assert [*(tmp_path / ".build").rglob("once.*.pyc")]
    assert not [*(tmp_path / "src").rglob("*.pyc")]


def test_the_environment_is_the_same_when_nested(tmp_path: Path) -> None:
    launcher = load_launcher()
    setup = launcher.Setup(tmp_path, None)
    once = launcher.command_environment(setup, {"PATH": "/usr/bin"})
    assert launcher.command_environment(setup, dict(once)) == once


def test_paths_baked_into_the_wheels_are_mended(tmp_path: Path) -> None:
    launcher = load_launcher()
    numpy = tmp_path / "lib/python3.11/site-packages/numpy/_core/include"
    numpy.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(sys.executable)
    file = tmp_path / "share/std_msgs/cmake/exportExport.cmake"
    file.parent.mkdir(parents=True)
    built = "/opt/python/cp311-cp311"
    file.write_text(
        f'DIRECTORIES "a;{built}/include/python3.11;'
        f'{built}/lib/python3.11/site-packages/numpy/_core/include"\n'
    )
    launcher.mend_cmake_paths(tmp_path)
    a, include, found = file.read_text().split('"')[1].split(";")
    assert a == "a"
    assert (Path(include) / "Python.h").exists()
    assert Path(found) == numpy


# ---- real steps


def test_a_failing_step_says_which_why_and_how_to_mend_it(tmp_path: Path) -> None:
    launcher = load_launcher()
    setup = launcher.Setup(tmp_path, None)
    command = ["sh", "-c", "echo no space left; exit 3"]
    with (tmp_path / "lock").open("w") as lock, pytest.raises(launcher.StepFailed) as failure:
        launcher.run_step(setup, "packages", command, "free the disk", lock.fileno(), {})
    message = str(failure.value)
    for part in ("'packages'", "exit status 3", "no space left", "free the disk", "packages.log"):
        assert part in message
    assert "no space left" in (tmp_path / ".build/setup/packages.log").read_text()


SLOW_START = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests
sys.path.insert(0, {tests!r})
from house_setup import load_launcher
launcher = load_launcher()
launcher.missing_tools = lambda setup: {{}}
launcher.mend_cmake_paths = lambda venv: None
real = launcher.run_step
def step(setup, name, command, mend, lock, env):
    with (setup.root / "steps").open("a") as file:
        file.write(name + "\\n")
    (setup.venv / "bin").mkdir(exist_ok=True)
    setup.python.exists() or setup.python.symlink_to("/usr/bin/env")
    real(setup, name, ["sleep", {sleep!r}], mend, lock, dict(PATH="/usr/bin:/bin"))
launcher.run_step = step
launcher.os.execve = lambda *_: sys.exit(0)
launcher.__file__ = {root!r} + "/aloha"
launcher.sourced_distro = lambda env: None
sys.exit(launcher.main([]))
"""


def slow_start(root: Path, sleep: str) -> subprocess.Popen[str]:
    """A start of the launcher in `root`, each step of which takes `sleep` seconds."""
    script = SLOW_START.format(tests=str(ROOT / "tests"), root=str(root), sleep=sleep)
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_two_starts_at_once_set_up_once(tmp_path: Path) -> None:
    make_tree(tmp_path)
    starts = [slow_start(tmp_path, "0.5") for _ in range(2)]
    said = [start.communicate(timeout=60)[1] for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    assert (tmp_path / "steps").read_text().split("\n") == [*ALL, ""]
    assert any("waiting for it" in text for text in said)


def test_a_stopped_start_leaves_no_process_and_the_next_one_resumes(tmp_path: Path) -> None:
    make_tree(tmp_path)
    start = slow_start(tmp_path, "60")
    wait_for(lambda: str(tmp_path) in working_folders("sleep"))
    start.send_signal(signal.SIGINT)
    assert start.wait(20) == 130
    assert str(tmp_path) not in working_folders("sleep")
    assert slow_start(tmp_path, "0").wait(30) == 0


def test_a_step_that_outlives_its_launcher_still_holds_the_lock(tmp_path: Path) -> None:
    make_tree(tmp_path)
    first = slow_start(tmp_path, "3")
    wait_for(lambda: str(tmp_path) in working_folders("sleep"))
    first.kill()
    first.wait()
    second = slow_start(tmp_path, "0")
    said = second.communicate(timeout=60)[1]
    assert second.returncode == 0
    assert "waiting for it" in said
    assert "making it anew" in said


def working_folders(name: str) -> set[str]:
    """The working folders of all processes called `name`."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() == name:
                found.add(os.readlink(entry / "cwd"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or is not ours
    return found


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    make_tree(tmp_path)
    (tmp_path / ".build").write_text("a file in the way")
    start = slow_start(tmp_path, "0")
    said = start.communicate(timeout=30)[1]
    assert start.returncode == 1
    assert str(tmp_path / ".build") in said
    assert "Traceback" not in said

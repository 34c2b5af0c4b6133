"""Interbotix' messages for tests, where the package is not installed: those that the backend uses.

Built once, by CMake with ROS 2's own generators, into .build/ under a name that changes with the
definitions and the Python that they were built for.
"""

import ctypes
import fcntl
import hashlib
import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "interbotix_xs_msgs"
BUILD_LIMIT_S = 300

DEFINITIONS = {
    "msg/JointGroupCommand.msg": "string name\nfloat32[] cmd\n",
    "msg/JointSingleCommand.msg": "string name\nfloat32 cmd\n",
    "srv/OperatingModes.srv": (
        "string cmd_type\nstring name\nstring mode\nstring profile_type\n"
        "int32 profile_velocity\nint32 profile_acceleration\n---\n"
    ),
    "srv/Reboot.srv": "string cmd_type\nstring name\nbool enable\nbool smart_reboot\n---\n",
    "srv/RegisterValues.srv": (
        "string cmd_type\nstring name\nstring reg\nint32 value\n---\nint32[] values\n"
    ),
    "srv/RobotInfo.srv": (
        "string cmd_type\nstring name\n---\nstring mode\nstring profile_type\n"
        "string[] joint_names\nint16[] joint_ids\nfloat32[] joint_lower_limits\n"
        "float32[] joint_upper_limits\nfloat32[] joint_velocity_limits\n"
        "float32[] joint_sleep_positions\nint16[] joint_state_indices\nint16 num_joints\n"
        "string[] name\n"
    ),
    "srv/TorqueEnable.srv": "string cmd_type\nstring name\nbool enable\n---\n",
    "package.xml": f"""<?xml version="1.0"?>
<package format="3">
  <name>{PACKAGE}</name>
  <version>0.0.0</version>
  <description>The part of {PACKAGE} that the tests need.</description>
  <maintainer email="maintainers@aloha-stack.example">ALOHA stack maintainers</maintainer>
  <license>BSD-3-Clause</license>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
</package>
""",
    "CMakeLists.txt": f"""cmake_minimum_required(VERSION 3.16)
project({PACKAGE})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
file(GLOB definitions RELATIVE ${{CMAKE_CURRENT_SOURCE_DIR}} msg/*.msg srv/*.srv)
rosidl_generate_interfaces(${{PROJECT_NAME}} ${{definitions}})
ament_package()
""",
}


def make_importable() -> None:
    """Makes `import interbotix_xs_msgs` work in this process, by a build if there has to be one."""
    if importlib.util.find_spec(PACKAGE) is not None:
        return
    install = _built()
    # A process reads its library path once, when it starts: these are loaded by hand.
    for library in sorted((install / "lib").glob("*.so")):
        ctypes.CDLL(str(library))
    sys.path += [str(path) for path in install.glob("l*/**/*-packages")]


def _built() -> Path:
    """The folder of the finished build."""
    inputs = repr((DEFINITIONS, sys.version, sys.prefix, sysconfig.get_platform()))
    key = hashlib.sha256(inputs.encode()).hexdigest()[:12]
    folder = ROOT / ".build" / f"{PACKAGE}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _build(folder)
            done.touch()
    return folder / "install"


def _build(folder: Path) -> None:
    source, build, install = (folder / name for name in ("source", "build", "install"))
    for name, text in DEFINITIONS.items():
        file = source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    options = {
        "CMAKE_INSTALL_PREFIX": install,
        "CMAKE_INSTALL_RPATH": install / "lib",
        "CMAKE_INSTALL_RPATH_USE_LINK_PATH": "ON",
        "Python3_EXECUTABLE": sys.executable,
        "Python3_FIND_VIRTUALENV": "ONLY",
        "BUILD_TESTING": "OFF",
    }
    flags = [f"-D{name}={value}" for name, value in options.items()]
    for command in (
        ["cmake", "-S", str(source), "-B", str(build), *flags],
        ["cmake", "--build", str(build), "--target", "install", "--parallel", "2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_LIMIT_S)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr}"

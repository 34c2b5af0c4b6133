"""Finds packages, launch files and executables: in this checkout or in the ROS 2 environment."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from aloha_stack.launch.errors import LaunchError

OWN_PACKAGE = "aloha_stack"
SUFFIX = ".launch.xml"


def source_root() -> Path | None:
    """The root of the checkout that this module runs from; None when it runs installed."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "package.xml").is_file() and (root / "launch").is_dir() else None


def find_prefix(package: str, environment: Mapping[str, str]) -> Path:
    """The install prefix of a package, from the resource index of AMENT_PREFIX_PATH.

    Raises:
        LaunchError: no prefix holds the package.
    """
    prefixes = [
        entry for entry in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry
    ]
    for prefix in prefixes:
        if (Path(prefix) / "share/ament_index/resource_index/packages" / package).is_file():
            return Path(prefix)
    where = ", ".join(prefixes) or "AMENT_PREFIX_PATH, which is empty"
    raise LaunchError(
        f"package '{package}' was not found in {where}; source the workspace that holds it"
    )


def find_share(package: str, environment: Mapping[str, str]) -> Path:
    """The share folder of a package; the project's own is the checkout, where there is one."""
    root = source_root()
    if package == OWN_PACKAGE and root is not None:
        return root
    return find_prefix(package, environment) / "share" / package


def find_executable(package: str, executable: str, environment: Mapping[str, str]) -> list[str]:
    """The words that start an executable of a package.

    The project's own nodes run as Python modules, so that they need no installation.

    Raises:
        LaunchError: there is no such executable; those that exist are listed.
    """
    if package == OWN_PACKAGE:
        nodes = f"{OWN_PACKAGE}.nodes"
        if importlib.util.find_spec(f"{nodes}.{executable}") is not None:
            return [sys.executable, "-m", nodes, executable]
        spec = importlib.util.find_spec(nodes)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        existing = [file.stem for folder in folders for file in Path(folder).glob("[!_]*.py")]
    else:
        folder = find_prefix(package, environment) / "lib" / package
        found = shutil.which(executable, path=str(folder))
        if found:
            return [found]
        existing = [file.name for file in folder.glob("*") if os.access(file, os.X_OK)]
    listed = ", ".join(sorted(existing)) or "none"
    raise LaunchError(
        f"executable '{executable}' of package '{package}' was not found; it has: {listed}"
    )


def launch_folder() -> Path:
    """The folder of the project's launch files."""
    return find_share(OWN_PACKAGE, os.environ) / "launch"


def find_launch_file(name: str) -> Path:
    """The launch file `name`: of the project, with or without its ending, or a path.

    Raises:
        LaunchError: names it and lists the launch files that exist.
    """
    folder = launch_folder()
    if "/" not in name:
        for candidate in (folder / name, folder / f"{name}{SUFFIX}"):
            if candidate.is_file():
                return candidate
    if Path(name).is_file():
        return Path(name).resolve()
    raise LaunchError(
        f"launch file '{name}' does not exist; in {folder} are: {launch_names(folder)}"
    )


def launch_names(folder: Path) -> str:
    """The names of the launch files in a folder, for a message."""
    return ", ".join(sorted(file.name.removesuffix(SUFFIX) for file in folder.glob(f"*{SUFFIX}")))

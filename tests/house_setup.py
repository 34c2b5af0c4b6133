"""The launcher `./aloha` as a module, and a tree that it sets up without a network."""

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load_launcher() -> ModuleType:
    """A fresh copy of `./aloha` as a module; nothing is written beside the file."""
    loader = SourceFileLoader("aloha_launcher", str(ROOT / "aloha"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile((ROOT / "aloha").read_text(), str(ROOT / "aloha"), "exec"), module.__dict__)
    return module


def make_tree(root: Path) -> Path:
    """Requirement lists and two interface packages, as the launcher looks for them."""
    for name in ("project", "ros_wheels", "ros_installed", "torch"):
        file = root / f"requirements/{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("somepackage==1.0\n")
    for name in ("ros2_ws/src/aloha_interfaces", "requirements/interfaces/tf2_msgs"):
        message = root / name / "msg/State.msg"
        message.parent.mkdir(parents=True)
        message.write_text("bool moving\n")
    return root


class Bench:
    """The launcher with its commands recorded instead of run; `failing` names a step that fails."""

    def __init__(self, root: Path, distro: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        self.launcher = load_launcher()
        self.setup = self.launcher.Setup(make_tree(root), distro)
        self.failing: str | None = None
        self.commands: dict[str, list[str]] = {}
        self.steps: list[str] = []
        monkeypatch.setattr(self.launcher, "run_step", self._run_step)
        monkeypatch.setattr(self.launcher, "missing_tools", lambda setup: {})

    def _run_step(self, setup: Any, name: str, command: list[object], mend: str, *_: Any) -> None:
        self.steps.append(name)
        self.commands[name] = [str(word) for word in command]
        if name == "virtual environment":
            for folder in ("bin", "lib/python3.11/site-packages/numpy/_core/include"):
                (setup.venv / folder).mkdir(parents=True)
            setup.python.symlink_to("/usr/bin/env")
        if name == self.failing:
            raise self.launcher.StepFailed(name, "it broke.", mend)

    def start(self) -> list[str]:
        """One start of the launcher: the steps that it ran, up to a failing one."""
        self.steps = []
        try:
            if not self.launcher.is_ready(self.setup):
                self.launcher.make_ready(self.setup)
        except self.launcher.StepFailed:
            if self.failing is None:
                raise
        return self.steps

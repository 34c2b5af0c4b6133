"""What all tests share."""

import os

import pytest

from aloha_stack.shared_memory import sweep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The results of ruff and mypy, which `./aloha test` ran before, just above the summary."""
    checks = os.environ.get("ALOHA_CHECKS")
    if checks:
        terminalreporter.write_line(checks)


def pytest_sessionstart() -> None:
    """What killed nodes left in shared memory must not hold the tests' own."""
    sweep()


def pytest_sessionfinish() -> None:
    """Tests kill nodes: what those leave in shared memory is given back."""
    sweep()

"""What all tests share."""

import os

import pytest
from hypothesis import HealthCheck, settings

from aloha_stack.shared_memory import sweep


def pytest_configure() -> None:
    """No example is timed: a machine that stands still for a second says nothing about it."""
    settings.register_profile(
        "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("untimed")


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

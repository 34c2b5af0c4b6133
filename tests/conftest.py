"""What all tests share."""

import os

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The results of ruff and mypy, which `./aloha test` ran before, just above the summary."""
    checks = os.environ.get("ALOHA_CHECKS")
    if checks:
        terminalreporter.write_line(checks)

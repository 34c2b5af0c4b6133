"""What all tests share."""

import os
import threading

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import Scheduling

import workers
from aloha_stack.shared_memory import heal_ports, sweep

HEALED_S = 5.0


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
    """What killed nodes left in shared memory must not hold the tests' own, nor what nodes leave
    that are killed by tests: whoever opens a port that is half made waits for ever."""
    if not workers.beside_others():
        sweep()
    threading.Thread(target=_heal_ports, name="heal_ports", daemon=True).start()


def _heal_ports() -> None:
    never = threading.Event()
    while not never.wait(HEALED_S):
        heal_ports()


def pytest_sessionfinish() -> None:
    """Tests kill nodes: what those leave in shared memory is given back."""
    if not workers.beside_others():
        sweep()


# ---- sharing them among processes (see workers.py)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return workers.count(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling | None:
    return workers.ByFile(config, log) if config.option.dist == "load" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if workers.is_worker(config):
        workers.live_first(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    workers.be_polite(item)

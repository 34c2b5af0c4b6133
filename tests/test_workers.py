"""The tests are shared among processes without disturbing each other, and no death is lost."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workers import LIVE, POLITE, is_live

TESTS = Path(__file__).parent
LIVE_TEST = """
import os
import pytest

@pytest.mark.parametrize("n", range({count}))
def test_live(n):
    note("live")
    if n == {killer}:
        os.abort()
"""
PURE_TEST = """
def test_pure():
    note("pure")

def test_pure_too():
    note("pure")
"""
NOTE = """
import os
from pathlib import Path

def note(kind):
    with Path({folder!r}, kind).open("a") as file:
        print(os.getpid(), os.nice(0), file=file)
"""


@pytest.mark.parametrize(
    ("file", "live"),
    [
        ("tests/nodes/test_safety.py", True),
        ("tests/test_main_job.py", True),
        ("tests/test_shared_memory.py", True),
        ("tests/test_transport.py", True),
        ("tests/test_fuzz_bridge.py", False),
        ("tests/control/test_limits.py", False),
        ("tests/episodes/test_contents.py", False),
    ],
)
def test_live_is_what_runs_nodes(file: str, live: bool) -> None:
    assert is_live(f"{file}::test_something") == live


def test_what_is_called_live_exists() -> None:
    assert all((TESTS.parent / path).exists() for path in LIVE)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A project with our conftest.py, two live files, one test of which dies, and six pure ones."""
    tests = tmp_path / "tests"
    (tests / "nodes").mkdir(parents=True)
    for name in ("conftest.py", "workers.py"):
        shutil.copy(TESTS / name, tests)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\npythonpath = tests\n")
    note = NOTE.format(folder=str(tmp_path))
    (tests / "nodes/test_a.py").write_text(note + LIVE_TEST.format(count=4, killer=-1))
    (tests / "nodes/test_b.py").write_text(note + LIVE_TEST.format(count=3, killer=1))
    for number in range(6):
        (tests / f"test_pure_{number}.py").write_text(note + PURE_TEST)
    return tmp_path


def run(suite: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "auto", *words]
    return subprocess.run(command, cwd=suite, capture_output=True, text=True, check=False)


def noted(suite: Path, kind: str) -> list[tuple[int, int]]:
    """Process and niceness of each test of a kind, in their order."""
    lines = (suite / kind).read_text().splitlines()
    return [(int(process), int(nice)) for process, nice in map(str.split, lines)]


def test_all_run_once_the_live_by_one_worker_and_a_death_is_a_failure(suite: Path) -> None:
    ended = run(suite)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert re.search(
        r"FAILED tests/nodes/test_b.py::test_live\[1\] - worker \S+ crashed", ended.stdout
    )
    assert "1 failed, 18 passed" in ended.stdout
    live, pure = noted(suite, "live"), noted(suite, "pure")
    assert len(live) == 7
    assert len(pure) == 12
    assert len({process for process, _ in live[:6]}) == 1
    assert {nice for _, nice in pure} == {max(POLITE, os.nice(0))}
    assert {nice for _, nice in live[:6]} == {os.nice(0)}


def test_a_few_that_were_chosen_run_in_one_process(suite: Path) -> None:
    ended = run(suite, "tests/test_pure_0.py", "-k", "test_pure_too")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert noted(suite, "pure")[0][1] == os.nice(0)
    assert "worker" not in ended.stdout


def test_workers_that_find_no_test_say_so_by_the_exit_status(suite: Path) -> None:
    assert run(suite, "-n", "2", "-k", "nothing").returncode == pytest.ExitCode.NO_TESTS_COLLECTED

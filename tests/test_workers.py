"""The tests are shared among processes without disturbing each other, and no death is lost."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from xdist.remote import Producer

from workers import LIVE, POLITE, ByFile, is_live

TESTS = Path(__file__).parent
LIVE_TEST = """
import os
import pytest
from xdist.remote import Producer

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


class Worker:
    """As the scheduler sees one. Nothing can be sent to one that died, known or not."""

    shutting_down = False
    gateway = SimpleNamespace(id="gw")

    def __init__(self, dead: bool) -> None:
        self.dead = dead
        self.sent: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        if self.dead:
            raise OSError("cannot send (already closed?)")
        self.sent += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def test_what_was_sent_to_a_worker_that_had_just_died_is_done_by_another(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request.config.option, "tx", ["2*popen"])
    monkeypatch.setattr(request.config.option, "loadscopereorder", False, raising=False)
    files = sorted((TESTS / "control").glob("test_*.py"))
    tests = [f"tests/control/{file.name}::test_something" for file in files]
    scheduler = ByFile(request.config, Producer("scheduler", enabled=False))
    dead, alive = Worker(dead=True), Worker(dead=False)
    for worker in (dead, alive):
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, tests)
    scheduler.schedule()
    killer = scheduler.remove_node(dead)
    for done in alive.sent:  # which grows
        scheduler.mark_test_complete(alive, done)
    assert {tests[k] for k in alive.sent} == {test for test in tests if test != killer}
    assert killer in tests
    assert alive.shutting_down

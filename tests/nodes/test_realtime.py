"""What ticks comes before what computes, where the system allows it; where not, it says so."""

import errno
import os
import subprocess
import sys

import pytest

PROCESS = """
import os, sys, threading
from types import SimpleNamespace
from aloha_stack.nodes._realtime import come_first

def refuse(*_):
    raise OSError(int(sys.argv[2]), "refused")
if len(sys.argv) > 2:
    os.sched_setscheduler = refuse
ended = threading.Event()
threads = [threading.main_thread(), threading.Thread(target=ended.wait)]
threads[-1].start()
come_first(int(sys.argv[1]), SimpleNamespace(info=print))
threads.append(threading.Thread(target=ended.wait))
threads[-1].start()
for thread in threads:
    task = thread.native_id
    print(os.sched_getscheduler(task), os.sched_getparam(task).sched_priority)
ended.set()
"""
ORDINARY = f"{os.SCHED_OTHER} 0"


def of_threads(*words: str) -> list[str]:
    """What a process says: of its first thread, of one from before and of one from after."""
    command = [sys.executable, "-c", PROCESS, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def is_allowed() -> bool:
    set_it = f"import os; os.sched_setscheduler(0, {os.SCHED_FIFO}, os.sched_param(40))"
    ended = subprocess.run([sys.executable, "-c", set_it], check=False, capture_output=True)
    return ended.returncode == 0


def test_all_threads_those_from_before_and_from_later_come_first() -> None:
    *warning, main, earlier, later = of_threads("40")
    expected = f"{os.SCHED_FIFO} 40" if is_allowed() else ORDINARY
    assert [main, earlier, later] == [expected] * 3
    assert bool(warning) is not is_allowed()


@pytest.mark.parametrize("error", [errno.EPERM, errno.EINVAL])  # the latter: a container's kernel
def test_who_may_not_come_first_is_told_how(error: int) -> None:
    warning, *threads = of_threads("40", str(error))
    assert "no real-time priority (refused)" in warning
    assert "'@dialout - rtprio 40' in /etc/security/limits.d/aloha.conf" in warning
    assert threads == [ORDINARY] * 3


@pytest.mark.parametrize("words", [("0",), ("0", str(errno.EPERM))])
def test_priority_0_leaves_all_as_it_is(words: tuple[str, ...]) -> None:
    assert of_threads(*words) == [ORDINARY] * 3

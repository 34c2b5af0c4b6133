"""A process that works for another ends with it."""

import os
import subprocess
import sys
import time
from pathlib import Path

WORK = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from aloha_stack.twin.new_process import prepare

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, context, initializer=prepare, initargs=(1,))
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def test_it_ends_when_the_one_it_works_for_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(WORK)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert Path(f"/proc/{worker}").exists()
        parent.kill()
    until = time.monotonic() + 30
    while _lives(worker) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _lives(worker)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False

"""Segments of dead processes in /dev/shm: found, and given back; those in use are left alone."""

import os
import signal
import subprocess
import sys
import time

from aloha_stack import shared_memory
from aloha_stack.shared_memory import leftovers, sweep

NODE = "import rclpy; rclpy.init(); node = rclpy.create_node('here'); print(1, flush=True); input()"


def segments_of(process):
    """The files of its own segments, by its map and the locks that it holds open."""
    files = [os.readlink(f"/proc/{process.pid}/fd/{name}") for name in _fds(process)]
    locks = [file for file in files if file.startswith("/dev/shm/") and file.endswith("_el")]
    return {lock.removesuffix("_el") for lock in locks if "port" not in lock}


def _fds(process):
    return os.listdir(f"/proc/{process.pid}/fd")


def test_what_a_killed_node_leaves_is_found_and_what_a_living_one_has_is_not(monkeypatch):
    monkeypatch.setattr(shared_memory, "MADE_S", 0.0)
    command = [sys.executable, "-c", NODE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline()
            segments = segments_of(process)
            assert segments
            assert not segments & {str(segment) for segment, _ in leftovers()}
        finally:
            process.send_signal(signal.SIGKILL)
    dead = {str(segment): size for segment, size in leftovers()}
    assert segments <= set(dead)
    assert sum(dead[segment] for segment in segments) > 2**19


def made(folder, name):
    """A segment as Fast DDS lays it out, with nobody's lock."""
    (folder / name).write_bytes(b"x" * 5000)
    lock = folder / f"{name}_el"
    lock.touch()
    return lock


def test_only_old_segments_without_an_owner_are_removed(tmp_path):
    long_ago = time.time() - 100.0
    for name in ("fastrtps_0123456789abcdef", "fastrtps_port7411", "fastrtps_00000000000000ff"):
        lock = made(tmp_path, name)
        if not name.endswith("ff"):
            os.utime(lock, (long_ago, long_ago))
    assert sweep(tmp_path) >= 5000
    left = sorted(file.name for file in tmp_path.iterdir())
    young, port = "fastrtps_00000000000000ff", "fastrtps_port7411"
    assert left == [young, f"{young}_el", port, f"{port}_el"]


def test_where_there_is_no_shared_memory_there_is_nothing_to_sweep(tmp_path):
    assert sweep(tmp_path / "nothing") == 0

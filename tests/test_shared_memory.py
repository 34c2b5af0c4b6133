"""What dead processes leave in /dev/shm: found, and given back; what is in use is left alone."""

import os
import signal
import subprocess
import sys
import threading
import time

from aloha_stack import shared_memory
from aloha_stack.graph import Domain
from aloha_stack.shared_memory import FOLDER, heal_ports, leftovers, sweep
from open_files import open_files

NODE = "import rclpy; rclpy.init(); node = rclpy.create_node('here'); print(1, flush=True); input()"


def segments_of(process):
    """The files of its own segments, by its map and the locks that it holds open."""
    locks = [
        file
        for file in open_files(process.pid)
        if file.startswith("/dev/shm/") and file.endswith("_el")
    ]
    return {lock.removesuffix("_el") for lock in locks if "port" not in lock}


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


def test_a_node_that_waits_for_a_half_made_port_goes_on_once_it_is_given_up():
    """It would wait for ever: who was to make it is dead."""
    domain = Domain()
    port = (
        FOLDER / f"fastrtps_port{7411 + 250 * domain.number}"
    )  # the first in the domain hears here
    port.unlink(missing_ok=True)
    port.with_name(f"{port.name}_el").unlink(missing_ok=True)
    port.touch()
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain.number)}
    command = [sys.executable, "-c", NODE]
    try:
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            guard = threading.Timer(40.0, process.kill)
            guard.start()
            while process.poll() is None and not _has_opened(process, port):
                time.sleep(0.01)
            heal_ports()
            assert process.stdout.readline()
            guard.cancel()
            process.kill()
    finally:
        port.unlink(missing_ok=True)
        domain.release()


def _has_opened(process, port):
    """The port, or, if somebody else has given it up by now, the lock of the new one."""
    return any(file.startswith(str(port)) for file in open_files(process.pid))


def test_ports_that_are_half_made_are_given_up_and_all_others_left(tmp_path):
    word = shared_memory.STATE.pack
    files = {
        "fastrtps_port7411": b"",  # not begun
        "fastrtps_port7413": b"x",  # given up, by a maker that could not go on
        "fastrtps_port7415": word(0) + bytes(60),
        "fastrtps_port7417": word(1) + bytes(60),
        "fastrtps_port7419": word(2) + bytes(60),  # made
        "fastrtps_port7421": word(3) + bytes(60),
        "fastrtps_port7411_el": b"",
        "fastrtps_0123456789abcdef": b"",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    empty_file, begun_file = tmp_path / "fastrtps_port7411", tmp_path / "fastrtps_port7417"
    with empty_file.open("rb") as empty, begun_file.open("rb") as begun:
        healed = [path.name for path in heal_ports(tmp_path)]
        assert (empty.read(), begun.read(4)) == (b"\0", word(3))  # what those see who wait
    assert healed == [f"fastrtps_port74{number}" for number in (11, 13, 15, 17)]
    assert {file.name for file in tmp_path.iterdir()} == set(files) - set(healed)


def test_a_port_that_is_just_being_made_is_left(tmp_path, monkeypatch):
    port = tmp_path / "fastrtps_port7411"
    port.touch()
    finish = lambda _: port.write_bytes(shared_memory.STATE.pack(2))  # noqa: E731
    monkeypatch.setattr(shared_memory.time, "sleep", finish)
    assert heal_ports(tmp_path) == []
    assert port.exists()


def test_where_there_is_no_shared_memory_there_is_nothing_to_sweep(tmp_path):
    assert sweep(tmp_path / "nothing") == 0

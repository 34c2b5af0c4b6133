"""Nodes without images stay off shared memory: the death of another does not hold them."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from aloha_stack.graph import Domain
from aloha_stack.robot.share import share_folder
from aloha_stack.transport import PEERS, PROFILE, RANGE, udp_alone
from open_files import open_files

CONFIG = share_folder() / "config"
OURS = str(CONFIG / "fastdds.xml")
HANGS_S = 40.0
TALK = """
import sys, threading, time
from std_msgs.msg import Int32
from aloha_stack.nodes._node import SimpleNode, run

class Talker(SimpleNode):
    def __init__(self):
        super().__init__("talker")
        self.said = self.create_publisher(Int32, "said", 5)
        self.ending = threading.Event()
        self.talking = self.start_thread(self.talk, "talk")

    def talk(self):
        while not self.ending.wait(0.01):
            self.said.publish(Int32())
            print(time.monotonic(), flush=True)

    def close(self):
        self.ending.set()
        self.talking.join()

sys.exit(run(Talker, args=[]))
"""
HEAR = """
import sys
from std_msgs.msg import Int32
from aloha_stack.nodes._node import SimpleNode, run

class Hearer(SimpleNode):
    def __init__(self):
        super().__init__("hearer")
        self.create_subscription(Int32, "said", lambda m: print(m.data, flush=True), 5)

sys.exit(run(Hearer, args=[], images=True))
"""


@pytest.fixture
def started():
    """Starts programs in a domain of their own, on this machine, under the project's profile."""
    domain = Domain()
    environment = {
        **{name: value for name, value in os.environ.items() if name != PEERS},
        PROFILE: OURS,
        RANGE: "LOCALHOST",
        "ROS_DOMAIN_ID": str(domain.number),
    }
    with ExitStack() as stack:
        stack.callback(domain.release)

        def start(program):
            command = [sys.executable, "-c", program]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            guard = threading.Timer(HANGS_S, process.kill)  # so that no line is waited for for ever
            guard.start()
            stack.callback(guard.cancel)
            assert process.stdout.readline()
            return process

        yield start


def opened(process):
    """The files of Fast DDS in shared memory that a process has mapped or open."""
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    files = "\n".join([maps, *open_files(process.pid)])
    return set(re.findall(r"/dev/shm/fastrtps_\w+", files))


def test_the_death_of_one_who_was_making_a_port_does_not_hold_a_node_without_images(started):
    """A node that finds such a port waits for ever: this one never looks."""
    talker, hearer = started(TALK), started(HEAR)
    assert not opened(talker)
    locks = {Path(file) for file in opened(hearer) if re.search(r"port\d+_el$", file)}
    assert locks
    hearer.send_signal(signal.SIGKILL)
    hearer.wait()
    ports = [lock.with_name(lock.name.removesuffix("_el")) for lock in locks if _of_domain(lock)]
    assert ports
    try:
        for port in ports:  # as if it had been started again, and killed again at once
            port.with_name(f"{port.name}_el").unlink()
            port.unlink()
            port.touch()
        since_s = time.monotonic()
        while float(talker.stdout.readline()) < since_s + 3.5:
            pass  # Fast DDS looks for the port of one whom it misses anew after 3 s at most
    finally:
        for port in ports:
            port.unlink(missing_ok=True)


def _of_domain(lock):
    """Not a port that nodes of all domains open: others would wait, too."""
    return int(re.search(r"\d+", lock.name)[0]) >= 7400


@pytest.mark.parametrize(
    ("chosen", "profile", "range_after"),
    [
        ({PROFILE: OURS, RANGE: "LOCALHOST"}, "fastdds_control_localhost.xml", "SYSTEM_DEFAULT"),
        ({PROFILE: OURS, RANGE: "SUBNET"}, "fastdds_control.xml", "SUBNET"),
        ({PROFILE: OURS}, "fastdds_control.xml", None),
        ({RANGE: "LOCALHOST"}, "fastdds_control_localhost.xml", "SYSTEM_DEFAULT"),
        (
            {RANGE: "SUBNET", "ROS_LOCALHOST_ONLY": "1"},
            *("fastdds_control_localhost.xml", "SYSTEM_DEFAULT"),
        ),
        ({PROFILE: OURS, RANGE: "SUBNET", PEERS: "192.0.2.1"}, "fastdds_control.xml", "SUBNET"),
    ],
)
def test_udp_alone_is_used_within_the_range_that_was_asked_for(chosen, profile, range_after):
    environment = dict(chosen)
    with udp_alone(environment):
        assert environment[PROFILE] == str(CONFIG / profile)
        assert environment.get(RANGE) == range_after
        assert not environment.get("ROS_LOCALHOST_ONLY")
    assert environment == chosen


@pytest.mark.parametrize(
    "chosen",
    [
        {PROFILE: "/somebody/elses.xml", RANGE: "LOCALHOST"},
        {PROFILE: "/somewhere/else/fastdds.xml", RANGE: "LOCALHOST"},
        {PROFILE: OURS, RANGE: "LOCALHOST", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
        {PROFILE: OURS, RANGE: "LOCALHOST", "ROS_DISTRO": "kilted"},
        {PROFILE: OURS, RANGE: "LOCALHOST", PEERS: "192.0.2.1"},
    ],
)
def test_what_else_was_chosen_is_left_alone(chosen):
    environment = dict(chosen)
    with udp_alone(environment):
        assert environment == chosen

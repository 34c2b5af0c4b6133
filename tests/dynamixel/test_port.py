"""The serial port: who may have it, what is said when it cannot be had, how it waits."""

import os
import subprocess
import sys
import time

import pytest

from aloha_stack.dynamixel import port as port_module
from aloha_stack.dynamixel.errors import PortBusy, PortClosed, PortDenied, PortLost, PortMissing
from aloha_stack.dynamixel.packets import PING, instruction
from aloha_stack.dynamixel.port import PollingPort
from twin.virtual_rig import rig

HOLD = """
import sys
from aloha_stack.dynamixel.port import PollingPort
port = PollingPort(sys.argv[1], 1_000_000)
port.openPort()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def live(tmp_path):
    with rig(tmp_path) as live:
        yield live


def test_a_port_held_by_another_process_is_busy_until_that_ends(live):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, live.arm.port],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert holder.stdout.readline() == "held\n"
        second = PollingPort(live.arm.port, 1_000_000, "follower_left")
        with pytest.raises(PortBusy, match=r"follower_left: port .* is in use .* fuser"):
            second.openPort()
        assert not second.is_open
    finally:
        holder.communicate()
    assert second.openPort()
    second.closePort()


def test_a_missing_port_is_named_with_what_to_check(tmp_path):
    with pytest.raises(PortMissing, match=r"ttyDXL_nowhere: does not exist; .*plugged in"):
        PollingPort(str(tmp_path / "ttyDXL_nowhere"), 1_000_000).openPort()


def test_a_port_without_permission_names_the_group(live, monkeypatch):
    def denied(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(port_module.os, "open", denied)
    with pytest.raises(PortDenied, match="dialout"):
        PollingPort(live.arm.port, 1_000_000).openPort()


def test_a_file_is_no_port(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no port")
    with pytest.raises(PortLost, match="is no serial port"):
        PollingPort(str(path), 1_000_000).openPort()
    assert path.read_text() == "no port"


def test_a_speed_that_no_port_has_is_refused(live):
    with pytest.raises(ValueError, match="123456 baud"):
        PollingPort(live.arm.port, 123_456).openPort()


def test_a_port_that_was_lost_can_be_opened_again(tmp_path):
    with rig(tmp_path) as first:
        port = PollingPort(first.arm.port, 1_000_000)
        port.openPort()
    with pytest.raises(PortLost, match="was lost"):
        port.writePort(b"anything")
    with rig(tmp_path):
        port.openPort()
        port.writePort(instruction(1, PING))
        assert port.wait(2.0)
        port.closePort()


def test_a_closed_port_says_so(live):
    port = PollingPort(live.arm.port, 1_000_000)
    for use in (port.drain, port.clearPort, lambda: port.writePort(b"x"), lambda: port.wait(0)):
        with pytest.raises(PortClosed):
            use()


def test_bytes_arrive_exactly_as_sent(live):
    """No byte is special: a terminal in cooked mode would eat or change 0x03, 0x0D, 0x11 …"""
    port = PollingPort(live.arm.port, 1_000_000)
    port.openPort()
    everything = bytes(range(256)) * 4

    class Echo:
        line = live.virtual.line

        def advance(self, now_s):
            pass

        def handle(self, data):
            return data

    live.port.arm = Echo()
    port.writePort(everything)
    heard = b""
    while len(heard) < len(everything) and port.wait(2.0):
        heard += port.take()
    port.closePort()
    assert heard == everything


def test_waiting_for_a_silent_servo_does_not_burn_the_processor(live):
    port = PollingPort(live.arm.port, 1_000_000)
    port.openPort()
    port.setPacketTimeoutMillis(200)
    spent = time.thread_time()
    reads = 0
    while not port.isPacketTimeout():
        assert port.readPort(11) == b""
        reads += 1
    port.closePort()
    assert reads < 20
    assert time.thread_time() - spent < 0.1


def test_packet_timeouts_do_not_follow_the_wall_clock(live, monkeypatch):
    port = PollingPort(live.arm.port, 1_000_000)
    port.setPacketTimeoutMillis(1000)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert not port.isPacketTimeout()

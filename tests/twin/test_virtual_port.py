"""The arm behind a pseudo-terminal, driven by dynamixel_sdk as it comes."""

import os
import select
import time

import pytest
from dynamixel_sdk import (
    COMM_SUCCESS,
    GroupBulkRead,
    GroupSyncRead,
    GroupSyncWrite,
    PortHandler,
    Protocol2PacketHandler,
)

from aloha_stack.dynamixel.packets import PING, instruction, scan
from aloha_stack.twin.virtual_arm import VirtualArm
from aloha_stack.twin.virtual_port import VirtualPort, wait_for_bytes
from twin.virtual_rig import arm_at, rig

SDK = Protocol2PacketHandler()
IDS = (1, 2, 4, 6, 7, 8, 9)


@pytest.fixture
def live(tmp_path):
    with rig(tmp_path) as live:
        yield live


@pytest.fixture
def handler(live):
    """dynamixel_sdk's own port handler."""
    handler = PortHandler(live.arm.port)
    handler.openPort()
    handler.setBaudRate(1_000_000)
    yield handler
    handler.closePort()


@pytest.fixture
def port(tmp_path):
    port = VirtualPort(tmp_path / "ports", "ttyDXL", VirtualArm(arm_at(tmp_path)))
    yield port
    port.close()


def test_the_sdk_pings_all_nine(handler):
    for servo_id in range(1, 10):
        number, result, error = SDK.ping(handler, servo_id)
        assert (result, error) == (COMM_SUCCESS, 0)
        assert number == (1020 if servo_id > 7 else 1120)


def test_the_sdk_finds_all_nine_by_broadcast(handler):
    found, result = SDK.broadcastPing(handler)
    assert result == COMM_SUCCESS
    assert sorted(found) == list(range(1, 10))


def test_the_sdk_reads_writes_and_is_refused(live, handler):
    assert SDK.write2ByteTxRx(handler, 6, 84, 640) == (COMM_SUCCESS, 0)
    assert SDK.read2ByteTxRx(handler, 6, 84) == (640, COMM_SUCCESS, 0)
    assert SDK.write1ByteTxRx(handler, 6, 64, 1) == (COMM_SUCCESS, 0)
    assert SDK.write1ByteTxRx(handler, 6, 10, 1) == (COMM_SUCCESS, 7)
    live.virtual.servos[6].fail(0x20)
    assert SDK.read1ByteTxRx(handler, 6, 70) == (0x20, COMM_SUCCESS, 0x80)


@pytest.mark.parametrize("fast", [False, True], ids=["sync read", "fast sync read"])
def test_the_sdks_group_reads_agree_with_the_registers(live, handler, fast):
    group = GroupSyncRead(handler, SDK, 126, 10)
    for servo_id in IDS:
        group.addParam(servo_id)
    assert (group.fastSyncRead() if fast else group.txRxPacket()) == COMM_SUCCESS
    for servo_id in IDS:
        shown = live.virtual.servos[servo_id].get("present_position")
        assert group.getData(servo_id, 132, 4) == shown


def test_the_sdk_reads_stuffed_answers(live, handler):
    live.virtual.handle(b"")  # what the arm had to show, it has shown
    servo = live.virtual.servos[8]
    servo.show(0.0, 2048, -3, -1)
    assert SDK.read4ByteTxRx(handler, 8, 128) == (2**32 - 3, COMM_SUCCESS, 0)
    data, result, _ = SDK.readTxRx(handler, 8, 126, 10)
    assert result == COMM_SUCCESS
    assert bytes(data[:6]) == b"\xff\xff\xfd\xff\xff\xff"


def test_the_sdks_group_writes_reach_masters_and_shadows(live, handler):
    group = GroupSyncWrite(handler, SDK, 116, 4)
    for servo_id in IDS:
        group.addParam(servo_id, list((2000 + servo_id).to_bytes(4, "little")))
    assert group.txPacket() == COMM_SUCCESS
    SDK.ping(handler, 1)  # answered after the write
    goals = {i: servo.goal_ticks for i, servo in live.virtual.servos.items()}
    masters = {servo_id: 2000 + servo_id for servo_id in IDS}
    assert goals == {**masters, 3: 2002, 5: 2004}


def test_the_sdks_bulk_read_is_answered(handler):
    group = GroupBulkRead(handler, SDK)
    group.addParam(1, 146, 1)
    group.addParam(9, 144, 2)
    assert group.txRxPacket() == COMM_SUCCESS
    assert (group.getData(1, 146, 1), group.getData(9, 144, 2)) == (32, 120)


def test_the_sdk_reboots_a_servo(live, handler):
    live.virtual.servos[9].fail(0x20)
    assert SDK.reboot(handler, 9) == (COMM_SUCCESS, 0x80)
    end = time.monotonic() + 5
    while SDK.ping(handler, 9)[1:] != (COMM_SUCCESS, 0):
        assert time.monotonic() < end


def test_the_link_replaces_a_stale_one_and_goes_with_the_port(tmp_path):
    arm = VirtualArm(arm_at(tmp_path))
    (tmp_path / "ttyDXL").symlink_to("/dev/pts/a-port-of-long-ago")
    port = VirtualPort(tmp_path, "ttyDXL", arm)
    assert (tmp_path / "ttyDXL").resolve().is_char_device()
    port.close()
    port.close()
    assert not (tmp_path / "ttyDXL").is_symlink()


def test_a_closing_port_leaves_a_successors_link_alone(tmp_path):
    first = VirtualPort(tmp_path, "ttyDXL", VirtualArm(arm_at(tmp_path)))
    second = VirtualPort(tmp_path, "ttyDXL", VirtualArm(arm_at(tmp_path)))
    first.close()
    assert (tmp_path / "ttyDXL").resolve().is_char_device()
    second.close()


def test_a_real_file_is_never_replaced(tmp_path):
    (tmp_path / "ttyDXL").write_text("mine")
    with pytest.raises(FileExistsError, match="another port folder"):
        VirtualPort(tmp_path, "ttyDXL", VirtualArm(arm_at(tmp_path)))
    assert (tmp_path / "ttyDXL").read_text() == "mine"


def test_it_knows_whether_somebody_has_the_port(port):
    assert not port.in_use
    user = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    assert port.in_use
    os.close(user)
    assert not port.in_use
    port.close()
    assert not port.in_use


def test_service_never_waits_and_says_whether_there_was_work(port):
    assert port.service(0.0) is False
    user = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    assert port.service(0.1) is False
    assert port.last_request_s == float("-inf")
    os.write(user, instruction(1, PING))
    wait_for_bytes([port], 2.0)
    assert port.service(0.2) is True
    assert time.monotonic() - port.last_request_s < 2.0
    assert select.select([user], [], [], 2.0)[0]
    assert len(scan(os.read(user, 100))[0]) == 1
    os.close(user)


def test_half_a_packet_of_a_user_who_left_does_not_reach_the_next(port):
    ping = instruction(1, PING)
    user = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    os.write(user, ping[:6])
    wait_for_bytes([port], 2.0)
    port.service(0.0)
    os.close(user)
    port.service(0.1)
    user = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    os.write(user, ping[6:])
    wait_for_bytes([port], 2.0)
    port.service(0.2)
    assert not select.select([user], [], [], 0.05)[0]
    os.close(user)


def test_a_user_who_never_reads_does_not_stop_the_others(port):
    user = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    for _ in range(200):
        os.write(user, instruction(1, PING) * 30)
        port.service(0.0)
    os.close(user)


def test_model_time_not_wall_time_counts_for_the_watchdog(tmp_path):
    arm = VirtualArm(arm_at(tmp_path))
    port = VirtualPort(tmp_path, "ttyDXL", arm)
    arm.servos[1].write(64, b"\1")
    arm.servos[1].write(98, b"\5")
    port.service(0.1)
    time.sleep(0.15)
    port.service(0.1)
    assert arm.servos[1].get("bus_watchdog") == 5
    port.service(0.11)
    assert arm.servos[1].get("bus_watchdog") == -1
    port.close()

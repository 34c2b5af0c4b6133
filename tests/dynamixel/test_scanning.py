"""Finding the servos of an arm of which nothing is known."""

import termios

import pytest

from aloha_stack.dynamixel.errors import PortMissing
from aloha_stack.dynamixel.packets import status
from aloha_stack.dynamixel.scanning import FoundServo, scan_port
from twin.virtual_rig import Tampered, rig

MODELS = {8: 1020, 9: 1020}


@pytest.fixture
def live(tmp_path):
    with rig(tmp_path) as live:
        yield live


def listen_only_at(live, speed: int) -> None:
    """The servos understand what is sent at this speed."""

    def hear(reply: bytes) -> bytes:
        return reply if termios.tcgetattr(live.port.fileno())[4] == speed else b""

    live.port.arm = Tampered(live.virtual, hear)


def test_every_servo_is_found_with_model_and_firmware(live):
    found = scan_port(live.arm.port, [1_000_000], range(12))
    assert found == tuple(FoundServo(1_000_000, i, MODELS.get(i, 1120), 45) for i in range(1, 10))


def test_servos_at_another_baud_rate_are_found_there(live):
    listen_only_at(live, termios.B57600)
    found = scan_port(live.arm.port, [1_000_000, 57_600], range(1, 10))
    assert {servo.baud for servo in found} == {57_600}
    assert [servo.id for servo in found] == list(range(1, 10))


def test_a_silent_servo_is_not_found_and_hides_no_other(live):
    live.virtual.servos[4].silent = True
    assert [s.id for s in scan_port(live.arm.port, [1_000_000], range(1, 10))] == [
        i for i in range(1, 10) if i != 4
    ]


def test_two_servos_with_one_id_show_as_damage(live):
    second = status(7, 0, (1020).to_bytes(2, "little") + bytes((47,)))

    def both_talk(reply: bytes) -> bytes:
        at = reply.find(second[:5])  # several requests may be answered at once
        if at < 0:
            return reply
        mixed = bytes(a & b for a, b in zip(reply[at : at + len(second)], second, strict=True))
        return reply[:at] + mixed + reply[at + len(second) :]

    live.port.arm = Tampered(live.virtual, both_talk)
    found = {servo.id: servo for servo in scan_port(live.arm.port, [1_000_000], range(5, 10))}
    assert found[7] == FoundServo(1_000_000, 7)
    assert found[8].model_number == 1020


def test_an_answer_that_comes_late_is_put_down_to_its_own_servo(live):
    held: list[bytes] = []

    def late(reply: bytes) -> bytes:
        held.append(reply)
        return held.pop(0) if len(held) > 1 else b""

    live.port.arm = Tampered(live.virtual, late)
    found = scan_port(live.arm.port, [1_000_000], range(1, 9))
    assert {s.id: s.model_number for s in found} == {i: MODELS.get(i, 1120) for i in range(1, 8)}


def test_a_port_that_is_missing_is_named(tmp_path):
    with pytest.raises(PortMissing, match="ttyDXL_nowhere"):
        scan_port(str(tmp_path / "ttyDXL_nowhere"), [1_000_000])

"""The adapter's latency timer, as sysfs shows it."""

import pytest

from aloha_stack.dynamixel.latency import latency_timer_ms


@pytest.mark.parametrize(
    "place", ["class/tty/ttyUSB3/device", "bus/usb-serial/devices/ttyUSB3"], ids=["tty", "usb"]
)
def test_it_is_read_through_the_link_of_a_udev_rule(tmp_path, place):
    sysfs, dev = tmp_path / "sys", tmp_path / "dev"
    (sysfs / place).mkdir(parents=True)
    (sysfs / place / "latency_timer").write_text("16\n")
    dev.mkdir()
    (dev / "ttyUSB3").touch()
    (dev / "ttyDXL_leader_left").symlink_to("ttyUSB3")
    assert latency_timer_ms(str(dev / "ttyDXL_leader_left"), sysfs) == 16
    assert latency_timer_ms(str(dev / "ttyUSB3"), sysfs) == 16


def test_a_port_without_one_says_so(tmp_path):
    assert latency_timer_ms("/dev/pts/0", tmp_path) is None
    assert latency_timer_ms(str(tmp_path / "ttyDXL_gone"), tmp_path) is None


def test_what_is_no_number_is_no_timer(tmp_path):
    place = tmp_path / "class/tty/ttyUSB0/device"
    place.mkdir(parents=True)
    (place / "latency_timer").write_text("")
    assert latency_timer_ms("/dev/ttyUSB0", tmp_path) is None

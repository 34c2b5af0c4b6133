"""Serial ports: are they there, may they be opened, do they hand over bytes at once."""

import grp
import os
import stat

from aloha_stack.doctor.finding import OK, RED, WARN, Finding
from aloha_stack.dynamixel.latency import latency_timer_ms
from aloha_stack.robot.description import Arm

LATENCY_MS = 1
SLOWEST_MS = 4
"""A read and a write must fit into the 10 ms of a cycle, beside 3 ms on the wire."""
RULES = "config/udev/99-aloha.rules (its head says how to install it)"


def check_port(arm: Arm) -> Finding:
    """The port of one arm, without a byte sent."""
    subject, device = f"{arm.name} port", os.path.realpath(arm.port)
    name = arm.port if device == arm.port else f"{arm.port} → {device}"
    try:
        status = os.stat(device)
    except OSError:
        return Finding(
            RED,
            subject,
            f"{name} does not exist",
            f"plug in and power the arm; give the port its name by {RULES}; with the twin, start "
            "it and use its ALOHA_PORTS",
        )
    if not stat.S_ISCHR(status.st_mode):
        return Finding(
            RED, subject, f"{name} is no serial port", "correct `port` in the robot file"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        return Finding(
            RED,
            subject,
            f"{name} may not be opened by this user ({_owner(status)})",
            f"sudo usermod -aG dialout $USER, then log in again; or install {RULES}",
        )
    return Finding(OK, subject, f"{name} may be read and written")


def _owner(status: os.stat_result) -> str:
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return f"group {group}, {stat.filemode(status.st_mode)}"


def check_latency(arm: Arm) -> Finding:
    """How long the adapter holds few bytes back, as found in sysfs."""
    subject, found = f"{arm.name} latency timer", latency_timer_ms(arm.port)
    if found is None:
        return Finding(OK, subject, "none: the port is no USB serial adapter")
    if found <= LATENCY_MS:
        return Finding(OK, subject, f"{found} ms")
    tty = os.path.basename(os.path.realpath(arm.port))
    return Finding(
        RED if found > SLOWEST_MS else WARN,
        subject,
        f"{found} ms, {LATENCY_MS} is wanted: a cycle takes longer by as much",
        f"echo 1 | sudo tee /sys/bus/usb-serial/devices/{tty}/latency_timer, or install {RULES}",
    )

"""Which ports there are, and which servos answer on them, against what the robot file expects."""

import os
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.arms.connection import call, held_by
from aloha_stack.dynamixel.errors import PortBusy
from aloha_stack.dynamixel.scanning import ALL_IDS, FoundServo, scan_port
from aloha_stack.episodes.tables import Column, table
from aloha_stack.robot.description import MODEL_NUMBERS, Arm, Robot
from aloha_stack.robot.servos import BAUD_RATES

COLUMNS = (
    Column("ID", right=True),
    Column("joint"),
    Column("model"),
    Column("baud", right=True),
    Column("firmware", right=True),
    Column("finding"),
)
FACTORY_BAUD = 57600
"""At which a new servo talks, with ID 1."""
QUICK_IDS = range(21)
DEVICES = ("ttyDXL*", "ttyUSB*", "ttyACM*")


def scan_arm(arm: Arm, everything: bool = False) -> bool:
    """Prints what answers on the arm's port; whether that is just what the robot file says.

    Asks the IDs up to 20 at the arm's baud rate, and at the factory's if one of the arm's servos is
    silent; with `everything` all IDs at all baud rates.
    """
    device = os.path.realpath(arm.port)
    print(f"{arm.name}: {arm.port}{f' → {device}' if device != arm.port else ''}", flush=True)
    expected = {servo.id for servo in arm.servos}
    ids = ALL_IDS if everything else sorted({*QUICK_IDS, *expected})
    others = [FACTORY_BAUD] if not everything else [b for b in BAUD_RATES if b != arm.baud]
    try:
        found = scan_port(arm.port, [arm.baud], ids)
        if everything or not expected <= {servo.id for servo in found}:
            found += scan_port(arm.port, others, ids)
    except PortBusy as error:
        reason = held_by(arm, "its /diagnostics tell of every servo")
        raise PortBusy(f"{arm.name} ({arm.port}): {reason}") from error
    rows = compare(arm, found)
    print(table(COLUMNS, rows) + "\n")
    return all(row[-1] == "ok" for row in rows)


def compare(arm: Arm, found: Sequence[FoundServo]) -> list[list[str]]:
    """One row per servo that is expected or was found, as COLUMNS; the last says ok or what not."""
    names = {number: model for model, number in MODEL_NUMBERS.items()}
    rows = []
    for servo in arm.servos:
        answers = [one for one in found if one.id == servo.id]
        answers = [one for one in answers if one.baud == arm.baud] or answers
        joint = servo.joint + (" shadow" if servo.shadow_of is not None else "")
        for one in answers:
            model = names.get(one.model_number or 0, f"model {one.model_number}")
            finding = "ok"
            if one.model_number is None:
                model, finding = "?", "damaged answers: two servos with this ID, or noise"
            elif one.model_number != servo.model_number:
                finding = f"wrong model: expected {servo.model}"
            elif one.baud != arm.baud:
                finding = f"wrong baud rate: expected {arm.baud}"
            firmware = "?" if one.firmware is None else str(one.firmware)
            rows.append([str(one.id), joint, model, str(one.baud), firmware, finding])
        if not answers:
            finding = f"silent: expected {servo.model}; check power, cable, ID and baud rate"
            rows.append([str(servo.id), joint, "-", "-", "-", finding])
    for one in found:
        if one.id not in {servo.id for servo in arm.servos}:
            model = names.get(one.model_number or 0, f"model {one.model_number}")
            missing = [call(s) for s in arm.servos if s.id not in {other.id for other in found}]
            hint = f"; is it {missing[0]}?" if len(missing) == 1 else ""
            finding = f"no such ID in the robot file{hint}"
            firmware = "?" if one.firmware is None else str(one.firmware)
            rows.append([str(one.id), "-", model, str(one.baud), firmware, finding])
    return rows


def unclaimed_ports(robot: Robot, dev: Path = Path("/dev")) -> list[str]:
    """Serial ports of this machine that belong to no arm, with their name by serial number."""
    claimed = {os.path.realpath(arm.port) for arm in robot.arms.values()}
    by_id = {}
    if (dev / "serial/by-id").is_dir():
        by_id = {os.path.realpath(link): link.name for link in (dev / "serial/by-id").iterdir()}
    ports = []
    for device in sorted({os.path.realpath(path) for name in DEVICES for path in dev.glob(name)}):
        if device not in claimed:
            ports.append(f"{device}  {by_id.get(device, '')}".rstrip())
    return ports

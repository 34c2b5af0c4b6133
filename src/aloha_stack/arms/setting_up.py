"""Registers brought to what the robot file says, and servos restarted."""

from collections.abc import Iterable
from dataclasses import dataclass

from aloha_stack.arms.connection import (
    OperatorError,
    call,
    connected,
    differences,
    in_eeprom,
    in_ram,
)
from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.episodes.tables import Column, table
from aloha_stack.robot.description import Arm

COLUMNS = (
    Column("servo"),
    Column("register"),
    Column("found", right=True),
    Column("robot file", right=True),
    Column("kept in"),
)


def configure(arm: Arm, dry_run: bool) -> bool:
    """Prints what differs from the robot file and, unless `dry_run`, brings it there, verified.

    Whether the arm is as the file says in the end; what servos hold in RAM does not count in a dry
    run, as they forget it without power and every bridge writes it.
    """
    instead = f"it configured the arm; end it first (Ctrl-C parks it) to configure {arm.name} anew"
    with connected(arm, instead) as bus:
        bus.check()
        if dry_run:
            return _print_differences(arm, bus)
        changes = bus.configure()
        for change in changes:
            print(f"{arm.name}: {change}")
        print(f"{arm.name}: {len(arm.servos)} servos are as the robot file says", flush=True)
    return True


def _print_differences(arm: Arm, bus: DynamixelBus) -> bool:
    found = differences(bus)
    if not found:
        print(f"{arm.name}: nothing differs from the robot file", flush=True)
        return True
    rows = [
        [call(one[0]), one[1], str(one[2]), str(one[3]), "EEPROM" if in_eeprom(one) else "RAM"]
        for one in found
    ]
    print(f"{arm.name}: differs from the robot file, nothing was written:")
    print(table(COLUMNS, rows))
    forgotten = in_ram(found)
    print(f"{arm.name}: {forgotten}\n" if forgotten else "", flush=True)
    return not any(map(in_eeprom, found))


@dataclass(frozen=True)
class RebootOptions:
    """`servos`: IDs to restart; without any, those in hardware error. `yes`: also under torque."""

    servos: tuple[int, ...] = ()
    yes: bool = False


def check_servo_ids(arm: Arm, servos: Iterable[int]) -> None:
    """An OperatorError names an ID that the arm has not, and lists those that it has."""
    known = [servo.id for servo in arm.servos]
    unknown = [servo_id for servo_id in servos if servo_id not in known]
    if unknown:
        raise OperatorError(
            f"{arm.name} has no servo {unknown[0]}; it has {', '.join(map(str, known))}"
        )


def reboot(arm: Arm, options: RebootOptions) -> bool:
    """Restarts servos of the arm and writes their registers again; they are limp afterwards."""
    known = {servo.id: servo for servo in arm.servos}
    with connected(arm, f"call its service instead: ./aloha call /{arm.name}/reboot") as bus:
        errors = bus.hardware_errors()
        for servo_id, what in errors.items():
            print(f"{arm.name}: {call(known[servo_id])} reports: {', '.join(what)}")
        chosen = options.servos or tuple(errors)
        if not chosen:
            print(f"{arm.name}: no servo is in error (--servo ID restarts one all the same)")
            return True
        # A master and its shadow restart together: alone, one would be dragged by the other.
        pairs = {known[i].shadow_of or i for i in chosen}
        group = [s for s in arm.servos if s.id in pairs or s.shadow_of in pairs]
        torque = bus.torque()
        powered = [servo for servo in group if torque[servo.id]]
        if powered and not options.yes:
            raise OperatorError(
                f"{arm.name}: torque would be lost at {', '.join(map(call, powered))}, and what "
                "they carry drops; hold the arm, then add --yes"
            )
        for servo_id in sorted(pairs):
            bus.reboot(servo_id)
        names = ", ".join(map(call, group))
        print(f"{arm.name}: restarted, configured and without torque: {names}", flush=True)
        left = bus.hardware_errors()
    for servo_id, what in left.items():
        print(f"{arm.name}: {call(known[servo_id])} still reports: {', '.join(what)}")
    return not left

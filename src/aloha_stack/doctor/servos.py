"""The servos of one arm: models, firmware, torque, errors, temperature, voltage, registers."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from aloha_stack.arms.connection import (
    call,
    connected,
    differences,
    held_by,
    in_eeprom,
    in_ram,
)
from aloha_stack.arms.scanning import compare
from aloha_stack.doctor.finding import OK, RED, WARN, Finding
from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.dynamixel.control_table import describe_hardware_error
from aloha_stack.dynamixel.errors import BusError, PortBusy
from aloha_stack.dynamixel.scanning import FoundServo, scan_port
from aloha_stack.dynamixel.units import VOLT_PER_UNIT
from aloha_stack.robot.description import Arm, RobotConfigError
from aloha_stack.robot.servos import SUPPLY_V, WARM_C

INSTEAD = "its /diagnostics tell of every servo"

Values = Mapping[int, Mapping[str, int]]
"""Registers by servo ID and name."""
_LOOKED_AT = ("torque_enable", "hardware_error_status", "bus_watchdog")
_MEASURED = ("present_temperature", "present_input_voltage")


def check_servos(arm: Arm) -> Iterator[Finding]:
    """Everything that the servos of one arm tell. Nothing is written."""
    try:
        found = scan_port(arm.port, [arm.baud], [servo.id for servo in arm.servos])
        yield from _who_answers(arm, found)
        if {one.id for one in found} != {servo.id for servo in arm.servos}:
            return
        with connected(arm, INSTEAD) as bus:
            yield from _what_they_tell(arm, bus)
    except PortBusy:
        yield Finding(WARN, f"{arm.name} servos", f"not asked: {held_by(arm, INSTEAD)}")
    except (BusError, RobotConfigError) as error:
        yield Finding(RED, f"{arm.name} servos", str(error))


def _who_answers(arm: Arm, found: tuple[FoundServo, ...]) -> Iterator[Finding]:
    subject = f"{arm.name} servos"
    wrong = [row for row in compare(arm, found) if row[-1] != "ok"]
    if len(wrong) == len(arm.servos) and not found:
        yield Finding(
            RED,
            subject,
            f"none answers at {arm.baud} baud",
            "switch on the arm's power, check the cable from the adapter to its first servo; "
            "./aloha arms scan --all looks at all baud rates",
        )
        return
    for row in wrong:
        yield Finding(
            RED,
            subject,
            f"servo {row[0]} ({row[1]}): {row[-1]}",
            f"./aloha arms scan --all --arm {arm.name}; is this the right arm's port?",
        )
    firmware: dict[str, list[int]] = defaultdict(list)
    for one in found:
        model = next(servo.model for servo in arm.servos if servo.id == one.id)
        if one.firmware is not None:
            firmware[model].append(one.firmware)
    told = ", ".join(
        f"{len(versions)} {model} (firmware {', '.join(map(str, sorted(set(versions))))})"
        for model, versions in firmware.items()
    )
    if not wrong:
        yield Finding(OK, subject, f"at {arm.baud} baud: {told}")
    if any(len(set(versions)) > 1 for versions in firmware.values()):
        yield Finding(
            WARN,
            subject,
            f"servos of one model have different firmware: {told}",
            "bring them to one version with the Dynamixel Wizard",
        )


def _what_they_tell(arm: Arm, bus: DynamixelBus) -> Iterator[Finding]:
    values = {
        servo.id: {name: bus.read_register(servo.id, name) for name in (*_LOOKED_AT, *_MEASURED)}
        for servo in arm.servos
    }
    yield from _errors(arm, values)
    powered = _names(arm, values, "torque_enable", lambda value: value != 0)
    yield _torque(arm, powered)
    yield from _watchdog(arm, values)
    yield _temperature(arm, values)
    yield _voltage(arm, values)
    yield _registers(arm, bus, bool(powered))


def _errors(arm: Arm, values: Values) -> Iterator[Finding]:
    for servo in arm.servos:
        status = values[servo.id]["hardware_error_status"]
        if status:
            yield Finding(
                RED,
                f"{arm.name} errors",
                f"{call(servo)}: {', '.join(describe_hardware_error(status))}",
                f"find the cause, then ./aloha arms reboot --arm {arm.name}",
            )
    if not any(values[servo.id]["hardware_error_status"] for servo in arm.servos):
        yield Finding(OK, f"{arm.name} errors", "no servo is in hardware error")


def _torque(arm: Arm, powered: list[str]) -> Finding:
    if not powered:
        return Finding(OK, f"{arm.name} torque", "off, as a bridge expects it")
    who = "on" if len(powered) == len(arm.servos) else f"on at {', '.join(powered)} only"
    return Finding(
        WARN,
        f"{arm.name} torque",
        f"{who}, with no bridge: one that starts does not touch it until it is told to",
        f"after the start: ./aloha call /{arm.name}/adopt; or hold the arm and "
        f"./aloha arms torque off --arm {arm.name}",
    )


def _watchdog(arm: Arm, values: Values) -> Iterator[Finding]:
    tripped = _names(arm, values, "bus_watchdog", lambda value: value < 0)
    if tripped:
        yield Finding(
            WARN,
            f"{arm.name} watchdog",
            f"tripped at {', '.join(tripped)}: a bridge ended without letting go",
            f"the next bridge clears it when it adopts the arm: ./aloha call /{arm.name}/adopt",
        )


def _temperature(arm: Arm, values: Values) -> Finding:
    degrees = {servo: values[servo.id]["present_temperature"] for servo in arm.servos}
    hot = max(degrees, key=lambda servo: degrees[servo])
    text = f"{min(degrees.values())} … {degrees[hot]} °C"
    if degrees[hot] < WARM_C:
        return Finding(OK, f"{arm.name} temperature", text)
    return Finding(
        WARN, f"{arm.name} temperature", f"{text}, most at {call(hot)}", "let the arm cool and rest"
    )


def _voltage(arm: Arm, values: Values) -> Finding:
    volts = [values[servo.id]["present_input_voltage"] * VOLT_PER_UNIT for servo in arm.servos]
    text = f"{min(volts):.1f} … {max(volts):.1f} V"
    if SUPPLY_V[0] <= min(volts) and max(volts) <= SUPPLY_V[1]:
        return Finding(OK, f"{arm.name} voltage", text)
    return Finding(
        WARN,
        f"{arm.name} voltage",
        f"{text}, {SUPPLY_V[0]:g} … {SUPPLY_V[1]:g} V is expected",
        "check the power supply (12 V), its plug and the servos' cables",
    )


def _registers(arm: Arm, bus: DynamixelBus, powered: bool) -> Finding:
    subject, found = f"{arm.name} registers", differences(bus)
    kept = [one for one in found if in_eeprom(one)]
    look = f"./aloha arms configure --dry-run --arm {arm.name} lists them"
    if not kept:
        forgotten = in_ram(found)
        return Finding(OK, subject, f"as the robot file says{forgotten and f', but {forgotten}'}")
    servo, name, value, wanted = kept[0]
    more = f" and {len(kept) - 1} more" if len(kept) > 1 else ""
    text = f"{name} of {call(servo)} is {value}, not {wanted} as the robot file says{more}"
    if powered:
        return Finding(
            RED, subject, f"{text}; under torque no bridge can mend it", f"{look}; torque off first"
        )
    return Finding(WARN, subject, text, f"a bridge that starts writes them; {look}")


def _names(arm: Arm, values: Values, name: str, is_so: Callable[[int], bool]) -> list[str]:
    return [call(servo) for servo in arm.servos if is_so(values[servo.id][name])]

"""The servos of an arm's file, and the registers that they are given.

Here is checked what the file says of itself: every servo once, shadows set up as their masters,
limits that the servos can keep. Whether a servo's model has a register, and which values a bridge
can work with, is said where control tables are known (dynamixel/register_check.py).
"""

from collections.abc import Mapping

from aloha_stack.robot.arm import Limits, Servo
from aloha_stack.robot.joints import JOINTS
from aloha_stack.robot.servos import (
    MODEL_NUMBERS,
    POSITION,
    RAD_PER_TICK,
    TICKS_PER_TURN,
    ZERO_TICKS,
    fastest_rad_s,
)
from aloha_stack.robot.yaml_section import Section, shown

SERVO_KEYS = ("id", "joint", "model", "drive_mode", "shadow_of", "registers")
OWN_PLACE = {
    "id": "the key `id` of the servo",
    "baud_rate": "the key `baud` of the arm",
    "drive_mode": "the key `drive_mode` of the servo",
    "secondary_id": "the key `shadow_of` of the servo",
    "homing_offset": "`homing_offsets` of the arm in the robot's file",
}
"""Registers that are said elsewhere in the files."""
MAX_OFFSET = TICKS_PER_TURN // 4
"""A larger homing_offset is ignored in position mode (ROBOTIS e-manual)."""
_OF_ONE = ("drive_mode", "homing_offset", "secondary_id")
"""Registers in which a shadow differs from its master."""


def load_servos(shared: Section, offsets: Section) -> tuple[Servo, ...]:
    """The servos of an arm's file `shared`, with the robot's homing `offsets` by servo ID."""
    common = _registers(shared)
    entries = shared.sections("servos")
    servos: list[Servo] = []
    for own in entries:
        servo = _load_servo(own, common, offsets)
        if servo.id in [other.id for other in servos]:
            own.complain("id", f"ID {servo.id} stands twice")
        servos.append(servo)
    _check_joints(shared, servos)
    for own, servo in zip(entries, servos, strict=True):
        if servo.shadow_of is not None:
            _check_shadow(own, servo, servos)
    _check_offsets(offsets, servos)
    return tuple(servos)


def _load_servo(own: Section, common: Mapping[str, int], offsets: Section) -> Servo:
    own.check_keys(SERVO_KEYS)
    servo_id = own.integer("id", 0, 252)
    joint = own.choice("joint", JOINTS)
    drive_mode = own.integer("drive_mode", 0, 1)
    shadow_of = own.integer("shadow_of", 0, 252) if "shadow_of" in own.values else None
    registers = dict(common)
    if "registers" in own.values:
        registers |= _registers(own)
    registers["drive_mode"] = drive_mode
    registers["secondary_id"] = 255 if shadow_of is None else shadow_of
    registers["homing_offset"] = offsets.values.get(servo_id, 0)
    return Servo(
        id=servo_id,
        joint=joint,
        model=own.choice("model", tuple(MODEL_NUMBERS)),
        shadow_of=shadow_of,
        drive_mode=drive_mode,
        registers=registers,
        where=f"{own.path}: {own.where} ({joint}{' shadow' if shadow_of is not None else ''})",
    )


def _registers(of: Section) -> dict[str, int]:
    section = of.section("registers")
    for name in section.values:
        if not isinstance(name, str):
            section.complain(name, "expected the name of a register")
        if name in OWN_PLACE:
            section.complain(name, f"is no register of this list: give it as {OWN_PLACE[name]}")
        section.integer(name, -(2**31), 2**32 - 1)
    return dict(section.values)


def _check_joints(shared: Section, servos: list[Servo]) -> None:
    masters = [servo.joint for servo in servos if servo.shadow_of is None]
    for joint in JOINTS:
        if masters.count(joint) != 1:
            shared.complain(
                "servos",
                f"{joint} has {masters.count(joint)} servos that are no shadow; each joint needs "
                "exactly one",
            )


def _check_shadow(own: Section, servo: Servo, servos: list[Servo]) -> None:
    """A shadow takes its master's goals: it must be set up alike, or the two pull apart."""
    masters = {other.id: other for other in servos if other.shadow_of is None}
    master = masters.get(servo.shadow_of or 0)
    if master is None or master.joint != servo.joint:
        own.complain(
            "shadow_of",
            f"ID {servo.shadow_of} is not the servo that {servo.joint} is addressed by",
        )
    if servo.model != master.model:
        own.complain("model", f"{servo.model} shadows a {master.model}; both must be of one model")
    for name in sorted({*servo.registers, *master.registers} - {*_OF_ONE}):
        mine, its = servo.registers.get(name), master.registers.get(name)
        if mine != its:
            own.complain(
                "registers",
                f"{name} is {mine}, and {its} at ID {master.id}, which it shadows; give both one",
            )


def _check_offsets(offsets: Section, servos: list[Servo]) -> None:
    own = {servo.id for servo in servos if servo.shadow_of is None}
    for key in offsets.values:
        if isinstance(key, bool) or not isinstance(key, int) or key not in own:
            offsets.complain(
                key,
                f"no servo ID of this arm that may have an offset; there is {sorted(own)} "
                "(a shadow's is measured)",
            )
        offsets.integer(key, -MAX_OFFSET, MAX_OFFSET)


def check_servo_limits(limits: Limits, section: Section, servos: tuple[Servo, ...]) -> None:
    """No joint limit may ask of a servo what its registers, or the servo itself, do not give."""
    addressed = {servo.joint: servo for servo in servos if servo.shadow_of is None}
    for index, joint in enumerate(JOINTS):
        servo, registers = addressed[joint], addressed[joint].registers
        own = section.section(joint)
        fastest = fastest_rad_s(servo.model, registers)
        if limits.velocity[index] > fastest:
            own.complain(
                "velocity",
                f"{limits.velocity[index]:g} rad/s is more than servo {servo.id} turns: "
                f"{fastest:.4f} rad/s (its velocity_limit, its pwm_limit, or its no-load speed)",
            )
        if registers.get("operating_mode", POSITION) != POSITION:
            continue  # the servo's own position limits count in position mode alone
        lowest = registers.get("min_position_limit", 0)
        highest = registers.get("max_position_limit", TICKS_PER_TURN - 1)
        for key, rad in (("lower", limits.lower[index]), ("upper", limits.upper[index])):
            ticks = round(float(rad) / RAD_PER_TICK) + ZERO_TICKS
            # One tick of grace: limits are rounded, and a whole turn ends a tick before pi.
            if not lowest - 1 <= ticks <= highest + 1:
                own.complain(
                    key,
                    f"{shown(float(rad))} rad is tick {ticks}; servo {servo.id} goes from {lowest} "
                    f"to {highest} (min_position_limit, max_position_limit)",
                )

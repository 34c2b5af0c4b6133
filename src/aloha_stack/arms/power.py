"""Torque on and off by an operator's hand. An arm that loses its torque drops."""

from dataclasses import dataclass

import numpy as np

from aloha_stack.arms.connection import OperatorError, call, connected, differences
from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import ARM_JOINTS, JOINTS

AT_REST_RAD = 0.15
"""As near the rest pose an arm may lose its torque: as far as a bridge lets it go."""
JUMP_RAD = 0.02
"""Further than this from where it stands no joint may be told to hold."""


@dataclass(frozen=True)
class TorqueOptions:
    """What to switch to; `yes`: off although the arm drops."""

    on: bool
    yes: bool = False


def switch_torque(arm: Arm, options: TorqueOptions) -> bool:
    """Torque of all nine servos on, where they stand, or off. Raises BusError, OperatorError."""
    word = "true" if options.on else "false"
    instead = f"call its service instead: ./aloha call /{arm.name}/torque data:={word}"
    with connected(arm, instead) as bus:
        bus.check()
        powered = [servo for servo in arm.servos if bus.torque()[servo.id]]
        if options.on:
            _hold(arm, bus, len(powered) == len(arm.servos))
        elif not powered:
            print(f"{arm.name}: has no torque already")
        else:
            _let_go(arm, bus, options.yes)
    return True


def _hold(arm: Arm, bus: DynamixelBus, holds_already: bool) -> None:
    if holds_already:
        print(f"{arm.name}: has torque already")
        return
    errors = bus.hardware_errors()
    if errors:
        names = ", ".join(call(servo) for servo in arm.servos if servo.id in errors)
        raise OperatorError(f"{arm.name}: {names} in hardware error: ./aloha arms reboot first")
    if differences(bus):
        raise OperatorError(
            f"{arm.name}: registers are not as the robot file says: ./aloha arms configure first"
        )
    state = bus.read()
    if not state.complete:
        raise OperatorError(f"{arm.name}: servos {state.missing} did not tell where they are")
    bus.set_watchdog(0)  # nobody will talk to it: the servos shall go on holding
    written = bus.write_goals(state.position)
    jumps = np.abs(written - state.position) > JUMP_RAD
    if jumps.any():
        names = ", ".join(joint for joint, far in zip(JOINTS, jumps, strict=True) if far)
        raise OperatorError(
            f"{arm.name}: {names} beyond the servo's position limits: torque would pull it back; "
            "move it by hand into its range first"
        )
    bus.set_torque(True)
    print(
        f"{arm.name}: torque on, held where it stands. A bridge that starts now finds the "
        f"torque on and waits: ./aloha call /{arm.name}/adopt",
        flush=True,
    )


def _let_go(arm: Arm, bus: DynamixelBus, yes: bool) -> None:
    away = _away_from_rest(arm, bus)
    if away and not yes:
        raise OperatorError(
            f"{arm.name}: is not at its rest pose ({away}) and drops without torque; park it (end "
            "its bridge with Ctrl-C), or hold it in your hands and add --yes"
        )
    bus.set_torque(False)
    print(f"{arm.name}: torque off{', it dropped from ' + away if away else ''}", flush=True)


def _away_from_rest(arm: Arm, bus: DynamixelBus) -> str:
    """What keeps the arm from being at its rest pose, in words; empty if it is there."""
    state = bus.read()
    if not state.complete:
        return f"servos {state.missing} do not tell where they are"
    away = np.abs(state.position - arm.rest_pose)[: len(ARM_JOINTS)]
    worst = int(np.argmax(away))
    if away[worst] <= AT_REST_RAD:
        return ""
    return f"{ARM_JOINTS[worst]} is {away[worst]:.2f} rad away from it"

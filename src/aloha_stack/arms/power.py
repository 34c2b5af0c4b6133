"""Torque on and off by an operator's hand. An arm that loses its torque drops."""

from dataclasses import dataclass

import numpy as np

from aloha_stack.arms.connection import OperatorError, call, connected, differences
from aloha_stack.dynamixel.bus import BusState, DynamixelBus
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
        powered = bus.torque().values()
        if options.on:
            _hold(arm, bus, holds_already=all(powered))
        elif not any(powered):
            print(f"{arm.name}: no servo has torque; nothing was changed")
        else:
            _let_go(arm, bus, options.yes)
    return True


def _hold(arm: Arm, bus: DynamixelBus, holds_already: bool) -> None:
    if holds_already:
        print(f"{arm.name}: all servos have torque already; nothing was changed")
        return
    errors = bus.hardware_errors()
    if errors:
        names = ", ".join(call(servo) for servo in arm.servos if servo.id in errors)
        raise OperatorError(
            f"{arm.name}: hardware error at {names}; first ./aloha arms reboot --arm {arm.name}"
        )
    if differences(bus):
        raise OperatorError(
            f"{arm.name}: registers are not as the robot file says; first ./aloha arms configure "
            f"--arm {arm.name}"
        )
    state = bus.read()
    if not state.complete:
        raise OperatorError(f"{arm.name}: {_unknown(arm, state)}; try again")
    bus.set_watchdog(0)  # nobody will talk to it: the servos shall go on holding
    written = bus.write_goals(state.position)
    jumps = np.abs(written - state.position) > JUMP_RAD
    if jumps.any():
        names = ", ".join(joint for joint, far in zip(JOINTS, jumps, strict=True) if far)
        raise OperatorError(
            f"{arm.name}: beyond the servo's position limits: {names}; torque would pull it back: "
            "first move it into its range by hand"
        )
    bus.set_torque(True)
    print(
        f"{arm.name}: torque on, held where it stands. A bridge that starts now finds the "
        f"torque on and waits: ./aloha call /{arm.name}/adopt",
        flush=True,
    )


def _let_go(arm: Arm, bus: DynamixelBus, yes: bool) -> None:
    why = _why_it_drops(arm, bus.read())
    if why and not yes:
        raise OperatorError(
            f"{arm.name}: the arm would drop: {why}; park it (end its bridge with Ctrl-C), or hold "
            "it in your hands and add --yes"
        )
    bus.set_torque(False)
    print(f"{arm.name}: torque off{f', although {why}' if why else ''}", flush=True)


def _why_it_drops(arm: Arm, state: BusState) -> str:
    """Why an arm that loses its torque now would drop; empty at its rest pose."""
    if not state.complete:
        return _unknown(arm, state)
    away = np.abs(state.position - arm.rest_pose)[: len(ARM_JOINTS)]
    worst = int(np.argmax(away))
    if away[worst] <= AT_REST_RAD:
        return ""
    return f"{ARM_JOINTS[worst]} is {away[worst]:.2f} rad away from the rest pose"


def _unknown(arm: Arm, state: BusState) -> str:
    """Which servos' positions are not known, as a sentence."""
    silent = [call(servo) for servo in arm.servos if servo.id in state.missing]
    return f"no position came from {', '.join(silent)}"

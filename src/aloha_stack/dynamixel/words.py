"""How servos and arms are called in messages: so that who holds the screwdriver finds them."""

from collections.abc import Iterable, Mapping

from aloha_stack.robot.description import Arm


def where(arm: Arm) -> str:
    """The arm and its port."""
    return f"{arm.name} ({arm.port})"


def call(arm: Arm, *ids: int) -> str:
    """Servos of an arm, by ID and joint."""
    servos = {servo.id: servo for servo in arm.servos}
    return ", ".join(
        f"servo {i} ({servos[i].joint}{'' if servos[i].shadow_of is None else ' shadow'})"
        for i in ids
    )


def silent(arm: Arm, ids: Iterable[int]) -> str:
    """These servos do not answer, and what to check."""
    names = tuple(ids)
    verb = "does" if len(names) == 1 else "do"
    return (
        f"{where(arm)}: {call(arm, *names)} {verb} not answer; check the arm's power, the cable "
        f"chain up to servo {names[0]}, its ID, and that all servos run at {arm.baud} baud"
    )


def damaged(arm: Arm, ids: Iterable[int]) -> str:
    """These servos' answers cannot be read, and what to check."""
    names = tuple(ids)
    return (
        f"{where(arm)}: answers of {call(arm, *names)} are damaged; check for two servos with one "
        f"ID, a bad connector at servo {names[0]}, and noise on the line"
    )


def other_models(arm: Arm, found: Mapping[int, int]) -> str:
    """These servos, by ID, have a model number that is not that of the robot file."""
    servos = {servo.id: servo for servo in arm.servos}
    return "; ".join(
        f"{call(arm, i)} is model {number}, not {servos[i].model_number}: {servos[i].model}"
        for i, number in found.items()
    )

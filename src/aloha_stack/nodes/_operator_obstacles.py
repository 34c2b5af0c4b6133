"""What keeps the robot from moving, in words: it would be recorded standing still."""

from aloha_interfaces.msg import TeleopState

from aloha_stack.nodes._operator_known import Known


def e_stop_in_force(known: Known) -> str:
    """Why nothing can be recorded now; empty if the safety node does not tell of an e-stop."""
    safety = known.safety.now
    if safety is None or not safety.e_stopped:
        return ""
    return f"the e-stop is in force ({safety.cause or 'no cause told'}): R resets it"


def obstacle(known: Known) -> str:
    """Why the arms do not follow now; empty if nothing is known that keeps them from it.

    Without a teleoperation nobody can tell here: a policy or a replay may be leading.
    """
    if words := e_stop_in_force(known):
        return words
    if known.safety.now is None:
        return f"the safety node is {known.safety.absence}: the arms hold still"
    teleop = known.teleop.now
    if teleop is None or teleop.state == TeleopState.ENGAGED:
        return ""
    return f"teleoperation is not engaged: {teleop.reason or 'no reason told'}"

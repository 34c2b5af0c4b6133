"""`./aloha call NAME [field:=value …]`: a service or an action, where there is no ros2 command.

Names and types come from the running graph of this ROS_DOMAIN_ID. Values are YAML. Feedback of an
action is printed as it comes. Ctrl-C, SIGTERM and SIGHUP cancel its goal and wait for its result.

Exit status: 0 where it was done, 1 where a goal was refused or aborted, or the answer says success
or completed: False (an episode discarded on request is no failure), 2 where it could not be called
or did not answer, 128 + signal after SIGTERM, SIGHUP, and Ctrl-C where no goal was on.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import rclpy
import yaml
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient, get_action_names_and_types
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from aloha_stack.nodes._call_ending import Ending, Stopped
from aloha_stack.nodes._call_words import words
from aloha_stack.nodes._messages import interface_class
from aloha_stack.transport import udp_alone

DISCOVERY_S = 5.0
"""Time in which what is called must show itself; during which this process runs, that is."""
LOOK_S = 0.1
"""How often it looks, and hears signals."""

ANSWER_S = 30.0
TELL_S = 1.0
ENDED_WELL = (GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED)
"""Who cancels a recording ends it well; a rollout then says completed: False."""
EXAMPLE = """examples:
  ./aloha call                          lists what can be called
  ./aloha call /e_stop
  ./aloha call /recorder/record_episode task:=transfer_cube duration:=8
  ./aloha call /recorder/stop outcome:=success
"""


class CallError(RuntimeError):
    """The call cannot be made or was not answered; the message says why."""

    status = 2


class RefusedError(CallError):
    """There is an answer, and it is no."""

    status = 1


def main(argv: list[str] | None = None) -> int:
    """The process; see the module for its exit status."""
    parser = argparse.ArgumentParser(
        prog="aloha call",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", help="of the service or action, as /e_stop")
    parser.add_argument("fields", nargs="*", metavar="field:=value")
    options = parser.parse_args(argv)
    with ExitStack() as stack:
        ending = stack.enter_context(Ending())
        stack.enter_context(udp_alone(os.environ))
        # rclpy's own handlers would shut it down, and no result could be heard any more.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        node = rclpy.create_node("call")
        stack.callback(node.destroy_node)
        try:
            status = _call(node, options.name, options.fields, ending)
        except Stopped:
            return ending.status
        except CallError as error:
            with suppress(OSError):  # the terminal is gone
                print(f"aloha call: {error}", file=sys.stderr)
            status = error.status
        return status if ending.number in (0, signal.SIGINT) else ending.status


def _call(node: Node, name: str | None, fields: list[str], ending: Ending) -> int:
    services: dict[str, str] = {}
    actions: dict[str, str] = {}
    for _ in _looks(node, ending):
        services, actions = _callable(node)
        if name in services:
            return _call_service(node, name, interface_class(services[name]), fields, ending)
        if name in actions:
            return _call_action(node, name, interface_class(actions[name]), fields, ending)
    if name is None:
        for kind, found in (("service", services), ("action", actions)):
            for one in sorted(found):
                ending.say(f"{kind:<8} {one}  ({found[one]})")
        return 0
    known = (
        ", ".join(sorted((*services, *actions))) or "nothing: is a graph running in this domain?"
    )
    raise CallError(f"there is no service or action '{name}'; there is {known}")


def _looks(node: Node, ending: Ending) -> Iterator[None]:
    """A look now and one every LOOK_S, until DISCOVERY_S of them have passed."""
    for _ in range(round(DISCOVERY_S / LOOK_S)):
        yield
        end_s = time.monotonic() + LOOK_S
        while (left_s := end_s - time.monotonic()) > 0:  # events come meanwhile
            rclpy.spin_once(node, timeout_sec=left_s)
        ending.check()
    yield


def _callable(node: Node) -> tuple[dict[str, str], dict[str, str]]:
    """Services and actions of the graph by name, but for the plumbing that every node has."""
    plumbing = ("/_action/", "parameter", "/get_type_description")
    services = {
        name: types[0]
        for name, types in node.get_service_names_and_types()
        if not any(word in name for word in plumbing)
    }
    return services, {name: types[0] for name, types in get_action_names_and_types(node)}


def _fill(message: Any, fields: list[str]) -> Any:
    """The message with its fields set; a CallError names a field that does not exist or fit."""
    known = message.get_fields_and_field_types()
    for field in fields:
        key, mark, text = field.partition(":=")
        if not mark or key not in known:
            expected = ", ".join(f"{name} ({kind})" for name, kind in known.items()) or "none"
            raise CallError(f"'{field}': no such field; expected field:=value of: {expected}")
        try:
            value = text if known[key] == "string" else yaml.safe_load(text)
            setattr(message, key, float(value) if known[key] in ("double", "float") else value)
        except (AssertionError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise CallError(f"'{field}': expected a {known[key]} ({error})") from error
    return message


def _call_service(node: Node, name: str, kind: Any, fields: list[str], ending: Ending) -> int:
    request = _fill(kind.Request(check_fields=True), fields)
    client = node.create_client(kind, name)
    _reach(node, client.service_is_ready, name, ending)
    answer = client.call_async(request)
    _spin(node, answer, ending.check)
    return _show(_answer(answer, name), ending)


def _call_action(node: Node, name: str, kind: Any, fields: list[str], ending: Ending) -> int:
    goal = _fill(kind.Goal(check_fields=True), fields)
    client: Any = ActionClient(node, kind, name)
    _reach(node, client.server_is_ready, name, ending)
    told = [0.0]

    def on_feedback(message: Any) -> None:
        if time.monotonic() - told[0] > TELL_S:
            told[0] = time.monotonic()
            ending.say(words(message.feedback))

    sent = client.send_goal_async(goal, feedback_callback=on_feedback)
    _spin(node, sent)  # whatever asks for the end: a goal that is on its way must be cancelled
    handle = _answer(sent, name)
    if not handle.accepted:
        raise RefusedError(f"{name} refused the goal; the log of its node says why")
    result = handle.get_result_async()
    while not result.done() and not ending.number:
        rclpy.spin_once(node, timeout_sec=LOOK_S)
    if not result.done():
        handle.cancel_goal_async()
        ending.say("cancelling")
        _spin(node, result)
    if not result.done():
        raise CallError(f"{name} did not end within {ANSWER_S:.0f} s after it was cancelled")
    return max(_show(result.result().result, ending), int(result.result().status not in ENDED_WELL))


def _reach(node: Node, is_ready: Any, name: str, ending: Ending) -> None:
    if not any(is_ready() for _ in _looks(node, ending)):
        raise CallError(f"{name} is announced but does not answer: has its node died?")


def _spin(node: Node, future: Any, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Until it is done, or ANSWER_S have passed."""
    end_s = time.monotonic() + ANSWER_S
    while not future.done() and time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=LOOK_S)
        meanwhile()


def _answer(future: Any, name: str) -> Any:
    if not future.done():
        raise CallError(f"{name} did not answer within {ANSWER_S:.0f} s")
    return future.result()


def _show(message: Any, ending: Ending) -> int:
    ending.say(words(message))
    return 0 if getattr(message, "success", getattr(message, "completed", True)) else 1


if __name__ == "__main__":
    raise SystemExit(main())

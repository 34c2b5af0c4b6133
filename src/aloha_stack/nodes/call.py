"""`./aloha call NAME [field:=value …]`: a service or an action, where there is no ros2 command.

Names and types come from the running graph of this ROS_DOMAIN_ID. Values are YAML. Feedback of an
action is printed as it comes; Ctrl-C cancels its goal.
"""

import argparse
import os
import sys
import time
from contextlib import ExitStack
from typing import Any

import rclpy
import yaml
from rclpy.action import ActionClient, get_action_names_and_types
from rclpy.node import Node

from aloha_stack.nodes._messages import interface_class
from aloha_stack.transport import udp_alone

DISCOVERY_S = 5.0
"""Time in which what is called must show itself; during which this process runs, that is."""
LOOK_S = 0.1

ANSWER_S = 30.0
TELL_S = 1.0
EXAMPLE = """examples:
  ./aloha call                          lists what can be called
  ./aloha call /e_stop
  ./aloha call /recorder/record_episode task:=transfer_cube duration:=8
  ./aloha call /recorder/stop outcome:=success
"""


class CallError(RuntimeError):
    """The call cannot be made or was not answered; the message says why."""


def main(argv: list[str] | None = None) -> int:
    """0: it answered success (or has no such field); 1: it did not; 2: the request is at fault."""
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
        stack.enter_context(udp_alone(os.environ))
        rclpy.init(args=[])
        stack.callback(rclpy.try_shutdown)
        node = rclpy.create_node("call")
        stack.callback(node.destroy_node)
        try:
            return _call(node, options.name, options.fields)
        except CallError as error:
            print(f"aloha call: {error}", file=sys.stderr)
            return 2


def _call(node: Node, name: str | None, fields: list[str]) -> int:
    for _ in range(round(DISCOVERY_S / LOOK_S)):
        services, actions = _callable(node)
        if name in services:
            return _call_service(node, name, interface_class(services[name]), fields)
        if name in actions:
            return _call_action(node, name, interface_class(actions[name]), fields)
        end_s = time.monotonic() + LOOK_S
        while (left_s := end_s - time.monotonic()) > 0:  # events come meanwhile
            rclpy.spin_once(node, timeout_sec=left_s)
    if name is None:
        for kind, found in (("service", services), ("action", actions)):
            for one in sorted(found):
                print(f"{kind:<8} {one}  ({found[one]})")
        return 0
    known = (
        ", ".join(sorted((*services, *actions))) or "nothing: is a graph running in this domain?"
    )
    raise CallError(f"there is no service or action '{name}'; there is {known}")


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


def _call_service(node: Node, name: str, kind: Any, fields: list[str]) -> int:
    request = _fill(kind.Request(check_fields=True), fields)
    client = node.create_client(kind, name)
    if not client.wait_for_service(DISCOVERY_S):
        raise CallError(f"{name} is announced but does not answer: has its node died?")
    return _show(_await(node, client.call_async(request), name))


def _call_action(node: Node, name: str, kind: Any, fields: list[str]) -> int:
    goal = _fill(kind.Goal(check_fields=True), fields)
    client: Any = ActionClient(node, kind, name)
    if not client.wait_for_server(DISCOVERY_S):
        raise CallError(f"{name} is announced but does not answer: has its node died?")
    told = [0.0]

    def on_feedback(message: Any) -> None:
        if time.monotonic() - told[0] > TELL_S:
            told[0] = time.monotonic()
            print(_words(message.feedback), flush=True)

    handle = _await(node, client.send_goal_async(goal, feedback_callback=on_feedback), name)
    if not handle.accepted:
        raise CallError(f"{name} refused the goal; the log of its node says why")
    result = handle.get_result_async()
    try:
        rclpy.spin_until_future_complete(node, result)
    except KeyboardInterrupt:
        print("cancelling", flush=True)
        handle.cancel_goal_async()
        rclpy.spin_until_future_complete(node, result, timeout_sec=ANSWER_S)
    if not result.done():
        raise CallError(f"{name} did not end within {ANSWER_S:.0f} s after it was cancelled")
    return _show(result.result().result)


def _await(node: Node, future: Any, name: str) -> Any:
    rclpy.spin_until_future_complete(node, future, timeout_sec=ANSWER_S)
    if not future.done():
        raise CallError(f"{name} did not answer within {ANSWER_S:.0f} s")
    return future.result()


def _show(message: Any) -> int:
    print(_words(message))
    good = getattr(message, "success", getattr(message, "kept", True))
    return 0 if good else 1


def _words(message: Any) -> str:
    names = message.get_fields_and_field_types()
    return "  ".join(f"{name}: {getattr(message, name)}" for name in names) or "done"


if __name__ == "__main__":
    raise SystemExit(main())

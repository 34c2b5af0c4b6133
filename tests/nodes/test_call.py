"""`./aloha call` against a live node."""

import itertools
import threading
import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool, Trigger

from aloha_stack.nodes import call
from nodes.arm_rig import wait_for
from nodes.domains import free_domain


@pytest.fixture
def graph(monkeypatch):
    """A node with two services, in a domain of its own, spun by a thread."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("live", context=context)

    def on_stop(_, response):
        response.success, response.message = True, "every arm has stopped"
        return response

    def on_torque(request, response):
        response.success, response.message = request.data, f"torque {request.data}"
        return response

    node.create_service(Trigger, "/e_stop", on_stop)
    node.create_service(SetBool, "/torque", on_torque)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    stopping = threading.Event()

    def spin():
        while not stopping.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin)
    thread.start()
    yield
    stopping.set()
    thread.join()
    executor.shutdown()
    rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (["/e_stop"], 0, "every arm has stopped"),
        (["/torque", "data:=true"], 0, "torque True"),
        (["/torque", "data:=false"], 1, "torque False"),
        (["/torque", "date:=true"], 2, "expected field:=value of: data (boolean)"),
        (["/torque", "data:=perhaps"], 2, "expected a boolean"),
        (["/torque", "data:={"], 2, "expected a boolean"),
        (["/estop"], 2, "no service or action '/estop'; there is /e_stop, /torque"),
        ([], 0, "/e_stop  (std_srvs/srv/Trigger)"),
    ],
)
def test_services_are_called_by_name_with_fields(graph, capfd, monkeypatch, argv, status, words):
    def look(node):
        wait_for(lambda: len(found(node)[0]) == 2)  # however long discovery takes
        return found(node)

    found = call._callable
    monkeypatch.setattr(call, "_callable", look)
    monkeypatch.setattr(call, "DISCOVERY_S", 0.1)
    assert call.main(argv) == status
    said = capfd.readouterr()
    assert words in said.out + said.err


def test_who_was_kept_from_running_goes_on_looking(graph, capfd, monkeypatch):
    readings, looks = itertools.count(), itertools.count()
    shown_s, found = time.monotonic, call._callable
    monkeypatch.setattr(call, "DISCOVERY_S", 60.0)
    monkeypatch.setattr(time, "monotonic", lambda: shown_s() + 60 * (next(readings) > 2))
    monkeypatch.setattr(
        call, "_callable", lambda node: found(node) if next(looks) > 3 else ({}, {})
    )
    assert call.main(["/e_stop"]) == 0
    assert "every arm has stopped" in capfd.readouterr().out

"""`./aloha call` against a live node."""

import threading

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool, Trigger

from aloha_stack.nodes import call
from nodes.domains import free_domain


@pytest.fixture
def graph(monkeypatch):
    """A node with two services, in a domain of its own, spun by a thread."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    monkeypatch.setattr(call, "DISCOVERY_S", 2.0)
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
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield
    executor.shutdown()
    thread.join()
    rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (["/e_stop"], 0, "every arm has stopped"),
        (["/torque", "data:=true"], 0, "torque True"),
        (["/torque", "data:=false"], 1, "torque False"),
        (["/torque", "date:=true"], 2, "expected field:=value of: data (boolean)"),
        (["/torque", "data:=perhaps"], 2, "expected a boolean"),
        (["/estop"], 2, "no service or action '/estop'; there is /e_stop, /torque"),
        ([], 0, "/e_stop  (std_srvs/srv/Trigger)"),
    ],
)
def test_services_are_called_by_name_with_fields(graph, capfd, argv, status, words):
    assert call.main(argv) == status
    said = capfd.readouterr()
    assert words in said.out + said.err

"""`./aloha call` against a live node."""

import contextlib
import io
import itertools
import os
import signal
import threading
import time
from functools import partial

import pytest
import rclpy
from aloha_interfaces.action import RecordEpisode, Rollout
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from aloha_stack.nodes import call
from aloha_stack.nodes._call_words import words as words_of
from nodes.arm_rig import wait_for
from nodes.domains import free_domain

WINDING_UP_S = 1.0
"""How long after its cancellation a goal ends."""


@contextlib.contextmanager
def live_node(monkeypatch):
    """A node in a domain of its own, spun by a thread."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("live", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    stopping = threading.Event()

    def spin():
        while not stopping.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield node
    finally:
        stopping.set()
        thread.join()
        executor.shutdown()
        rclpy.shutdown(context=context)


@pytest.fixture
def graph(monkeypatch):
    """Two services."""

    def on_stop(_, response):
        response.success, response.message = True, "every arm has stopped"
        return response

    def on_torque(request, response):
        response.success, response.message = request.data, f"torque {request.data}"
        return response

    with live_node(monkeypatch) as node:
        node.create_service(Trigger, "/e_stop", on_stop)
        node.create_service(SetBool, "/torque", on_torque)
        yield


class Pause:
    """To await it lets the executor do something else."""

    def __await__(self):
        time.sleep(0.002)
        yield


class Actions:
    """/roll and /record, whose goals end as their task says."""

    def __init__(self, node):
        self.ended = []
        for kind, name in ((Rollout, "/roll"), (RecordEpisode, "/record")):
            ActionServer(
                node,
                kind,
                name,
                partial(self._act, kind),
                goal_callback=self._take,
                cancel_callback=lambda _: CancelResponse.ACCEPT,
            )

    @staticmethod
    def _take(request):
        return GoalResponse.REJECT if request.task == "refused" else GoalResponse.ACCEPT

    async def _act(self, kind, goal):
        result = self._result(kind, goal.request)
        if goal.request.task.startswith("until "):
            _, said = goal.request.task.split()
            if said in signal.Signals.__members__:
                os.kill(os.getpid(), signal.Signals[said])
            while not goal.is_cancel_requested:
                goal.publish_feedback(kind.Feedback())
                await Pause()
            end_s = time.monotonic() + WINDING_UP_S
            while time.monotonic() < end_s:
                await Pause()
            goal.canceled()
        elif goal.request.task == "aborted":
            goal.abort()
        else:
            goal.succeed()
        self.ended.append(goal.request.task)
        return result

    @staticmethod
    def _result(kind, request):
        if kind is Rollout:
            done = request.task != "not done" and not request.task.startswith("until ")
            return Rollout.Result(completed=done, message="that was it")
        return RecordEpisode.Result(kept=request.task != "discarded", message="that was it")


@pytest.fixture
def actions(monkeypatch):
    with live_node(monkeypatch) as node:
        yield Actions(node)


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


@pytest.mark.parametrize(
    ("name", "task", "status"),
    [
        ("/roll", "done", 0),
        ("/roll", "not done", 1),
        ("/roll", "aborted", 1),
        ("/record", "done", 0),
        ("/record", "discarded", 0),
        ("/record", "aborted", 1),
    ],
)
def test_the_exit_status_says_whether_a_goal_was_met(actions, capfd, name, task, status):
    assert call.main([name, f"task:={task}"]) == status
    assert "message: that was it" in capfd.readouterr().out


def test_a_goal_that_is_refused_gives_status_1(actions, capfd):
    assert call.main(["/roll", "task:=refused"]) == 1
    assert "/roll refused the goal" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "sent", "status"),
    [
        ("/record", "SIGINT", 0),
        ("/roll", "SIGINT", 1),
        ("/roll", "SIGTERM", 128 + signal.SIGTERM),
        ("/roll", "SIGHUP", 128 + signal.SIGHUP),
    ],
)
def test_a_signal_cancels_the_goal_and_its_result_is_waited_for(actions, capfd, name, sent, status):
    assert call.main([name, f"task:=until {sent}"]) == status
    out, err = capfd.readouterr()
    assert actions.ended == [f"until {sent}"]
    assert out.index("cancelling") < out.index("message: that was it")
    assert "did not end" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_search_for_what_is_not_there(graph, monkeypatch, number):
    monkeypatch.setattr(call, "DISCOVERY_S", 3600.0)
    threading.Timer(0.5, os.kill, (os.getpid(), number)).start()
    assert call.main(["/nothing"]) == 128 + number


def test_a_goal_is_cancelled_when_nobody_reads_any_more(actions, tmp_path):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

        def fileno(self):
            return unread.fileno()

    with (tmp_path / "unread").open("w") as unread, contextlib.redirect_stdout(Gone()):
        assert call.main(["/roll", "task:=until unread"]) == 128 + signal.SIGPIPE
    assert actions.ended == ["until unread"]


def test_figures_are_printed_as_far_as_they_are_of_use():
    feedback = RecordEpisode.Feedback(
        elapsed=0.8200000000000001, messages=7, free_gib=66.35532379150391
    )
    assert words_of(feedback) == "elapsed: 0.82  messages: 7  lost: 0  free_gib: 66.355"
    point = JointTrajectoryPoint(positions=[0.1 + 0.2, 1e9 + 0.25, 1e-5 / 3], accelerations=[9.0])
    shown = words_of(JointTrajectory(joint_names=["waist"], points=[point]))
    assert "joint_names: [waist]" in shown
    assert "[{positions: [0.3, 1000000000.25, 3.33333e-06], velocities: []" in shown
    assert "accelerations: [9.0]" in shown
    assert words_of(Trigger.Request()) == "done"

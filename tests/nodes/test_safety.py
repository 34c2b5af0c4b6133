"""The safety node, with arms that answer as bridges do, and one that does not."""

import threading
import time
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from aloha_interfaces.msg import ArmStatus, SafetyState
from rclpy.node import Node

from aloha_stack.control.arm_modes import EStop, Mode
from aloha_stack.nodes.safety import Safety
from aloha_stack.robot.joints import ARMS, LEADERS
from nodes.arm_rig import LATCHED, call, ros, spinning, wait_for, with_parameters


class Arms(Node):
    """Stand-ins for the four bridges: they obey the heartbeat unless they are `deaf`."""

    def __init__(self) -> None:
        super().__init__("arms")
        self.deaf: set[str] = set()
        self.gone: set[str] = set()
        self.stops = {name: EStop() for name in ARMS}
        self.heard: list[SafetyState] = []
        self.resting = False
        self.status = {n: self.create_publisher(ArmStatus, f"/{n}/status", LATCHED) for n in ARMS}
        self.create_subscription(SafetyState, "/safety/state", self._on_safety, LATCHED)

    def say_all(self) -> None:
        for name in ARMS:
            self.say(name)

    def _on_safety(self, message: SafetyState) -> None:
        self.heard.append(message)
        for name, stop in self.stops.items():
            if name not in self.deaf:
                stop.hear(message.e_stopped, message.cause)
            if name not in self.gone:
                self.say(name)

    def say(self, name: str) -> None:
        mode = Mode.E_STOPPED if self.stops[name] else Mode.FOLLOWING
        if name in LEADERS:
            mode = Mode.BACK_DRIVEN
        if self.resting:
            mode = Mode.INACTIVE
        self.status[name].publish(ArmStatus(mode=int(mode), reason=self.stops[name].cause))


@pytest.fixture
def safety(monkeypatch: pytest.MonkeyPatch) -> Iterator[Safety]:
    monkeypatch.setenv("ALOHA_PORTS", "ports")
    with ros():
        node = Safety(parameter_overrides=with_parameters(robot="twin", answer_time=1.0))
        yield node
        node.destroy_node()


@pytest.fixture
def arms(safety: Safety) -> Iterator[Arms]:
    node = Arms()
    with spinning(safety), spinning(node):
        try:
            node.say_all()
            wait_for(lambda: node.heard)
            yield node
        finally:
            node.resting = True
            node.say_all()
            safety.close()
            safety.time.close()
    node.destroy_node()


def test_it_beats_without_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "ports")
    given = with_parameters(robot="twin", use_sim_time=True)
    with ros():
        safety, arms = Safety(parameter_overrides=given), Arms()
        with spinning(safety), spinning(arms):
            try:
                wait_for(lambda: len(arms.heard) > 10)
                assert not arms.heard[-1].e_stopped
            finally:
                arms.resting = True
                arms.say_all()
                safety.close()
                safety.time.close()
        safety.destroy_node()
        arms.destroy_node()


def test_the_e_stop_succeeds_when_every_arm_has_acknowledged(arms: Arms) -> None:
    response = call(arms, "/e_stop")
    assert response.success, response.message
    wait_for(lambda: arms.heard[-1].e_stopped and not arms.heard[-1].pending)
    assert sorted(arms.heard[-1].acknowledged) == sorted(ARMS)
    assert "/e_stop was called" in arms.heard[-1].cause
    assert all(arms.stops[name] for name in ARMS)


@pytest.mark.parametrize("how", ["deaf", "gone"])
def test_an_arm_that_does_not_acknowledge_is_named(arms: Arms, how: str) -> None:
    getattr(arms, how).add("follower_right")
    arms.deaf.add("follower_right")
    response = call(arms, "/e_stop")
    assert not response.success
    assert "follower_right" in response.message
    assert "follower_left" not in response.message
    assert "latched" in response.message
    wait_for(lambda: list(arms.heard[-1].pending) == ["follower_right"])


def test_the_reset_releases_every_arm_and_does_not_latch_again(arms: Arms) -> None:
    assert call(arms, "/e_stop").success
    response = call(arms, "/e_stop_reset")
    assert response.success, response.message
    assert "/e_stop was called" in response.message
    before = len(arms.heard)
    wait_for(lambda: len(arms.heard) > before + 5)
    assert not any(message.e_stopped for message in arms.heard[before + 1 :])
    assert not any(arms.stops.values())


def test_an_arm_that_stopped_by_itself_stops_all(arms: Arms) -> None:
    wait_for(lambda: not arms.heard[-1].e_stopped)
    arms.stops["follower_left"].trip("its own button")
    wait_for(lambda: arms.heard[-1].e_stopped)
    assert arms.heard[-1].cause == "its own button"
    wait_for(lambda: all(arms.stops.values()))


def test_a_reset_without_an_e_stop_says_so(arms: Arms) -> None:
    response = call(arms, "/e_stop_reset")
    assert response.success
    assert response.message == "there was no e-stop"


def test_two_callers_are_both_answered(arms: Arms) -> None:
    answers: list[bool] = []

    def ask() -> None:
        answers.append(call(arms, "/e_stop").success)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True, True]


def test_it_beats_and_serves_until_the_followers_rest(arms: Arms, safety: Safety) -> None:
    closing = threading.Thread(target=safety.close)
    closing.start()
    before = len(arms.heard)
    wait_for(lambda: len(arms.heard) > before + 20)
    assert closing.is_alive()
    assert call(arms, "/e_stop_reset").success
    arms.resting = True
    closing.join(5.0)
    assert not closing.is_alive()


def test_without_arms_it_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "ports")
    with ros():
        safety = Safety(parameter_overrides=with_parameters(robot="twin"))
        began_s = time.monotonic()
        safety.close()
        assert time.monotonic() - began_s < 1.0
        safety.time.close()
        safety.destroy_node()


def test_without_any_bridge_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "ports")
    monkeypatch.setattr("aloha_stack.nodes.safety.ALONE_S", 0.2)
    with ros():
        safety = Safety(parameter_overrides=with_parameters(robot="twin"))
        wait_for(lambda: "no bridge is heard of" in capfd.readouterr().err)
        safety.close()
        safety.time.close()
        safety.destroy_node()


def test_an_arm_that_is_still_stopped_stops_a_safety_node_that_starts_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "ports")
    monkeypatch.setattr("aloha_stack.nodes.safety.GONE_S", 10.0)  # discovery may take its time
    with ros():
        arms = Arms()
        for stop in arms.stops.values():
            stop.hear(True, "the first safety node")
        safety = Safety(parameter_overrides=with_parameters(robot="twin"))
        with spinning(safety), spinning(arms):
            try:
                time.sleep(0.5)  # its statuses come late; no beat may deny the stop before
                arms.say_all()
                wait_for(lambda: arms.heard)
                assert all(message.e_stopped for message in arms.heard)
                assert arms.heard[0].cause == "the first safety node"
                assert all(arms.stops.values())
            finally:
                arms.resting = True
                arms.say_all()
                safety.close()
                safety.time.close()
        safety.destroy_node()
        arms.destroy_node()


def test_a_beginning_during_which_the_machine_stands_still_denies_no_stop(
    safety: Safety,
) -> None:
    arms, shown_s = Arms(), time.monotonic
    wait_for(lambda: arms.count_publishers("/safety/state") == 1)
    began_s = shown_s()
    # The steady clock goes on by a minute, and the node has not run meanwhile.
    with patch.object(time, "monotonic", lambda: shown_s() + 60.0), spinning(arms):
        time.sleep(0.3)
        assert not arms.heard
        wait_for(lambda: arms.heard)  # no arm has spoken for so long: there is none
        assert shown_s() - began_s > 1.0
        safety.close()
        safety.time.close()
    arms.destroy_node()


def test_two_bridges_of_one_arm_stop_all_until_one_of_them_has_ended(arms: Arms) -> None:
    other = arms.create_publisher(ArmStatus, "/follower_left/status", LATCHED)

    def speak() -> bool:
        other.publish(ArmStatus(mode=int(Mode.HOLDING)))
        return arms.heard[-1].e_stopped

    wait_for(speak)
    assert "more than one bridge speaks for follower_left" in arms.heard[-1].cause
    wait_for(lambda: all(arms.stops.values()))
    assert call(arms, "/e_stop_reset").success
    before = len(arms.heard)
    wait_for(lambda: len(arms.heard) > before + 5)
    assert not arms.heard[-1].e_stopped


def test_a_mode_that_it_does_not_know_is_taken_for_a_fault(arms: Arms) -> None:
    arms.deaf.add("follower_left")
    arms.gone.add("follower_left")
    arms.status["follower_left"].publish(ArmStatus(mode=99))
    response = call(arms, "/e_stop")
    assert not response.success
    assert "follower_left (fault)" in response.message


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_heartbeat_that_fails_ends_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "ports")

    def broken(_: Safety) -> None:
        raise RuntimeError("no beat")

    monkeypatch.setattr(Safety, "_publish", broken)
    with ros():
        safety = Safety(parameter_overrides=with_parameters(robot="twin"))
        wait_for(lambda: safety.finished)
        assert isinstance(safety.failure, RuntimeError)
        safety.close()
        safety.time.close()
        safety.destroy_node()


def test_it_says_for_whom_it_waits_at_its_end(
    safety: Safety, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("aloha_stack.nodes.safety.PARKED_S", 0.2)
    arms = Arms()
    with spinning(safety), spinning(arms):
        wait_for(lambda: len(safety._moving()) == 2)
        ending = threading.Thread(target=safety.close)
        ending.start()
        time.sleep(0.5)
        arms.resting = True
        ending.join()
        safety.time.close()
    arms.destroy_node()
    told = [line for line in capfd.readouterr().err.splitlines() if "waiting for" in line]
    assert len(told) == 1
    assert "follower_left, follower_right to park" in told[0]

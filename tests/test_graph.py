"""Domains, and a graph as a child process."""

import socket
import time
from contextlib import suppress

import pytest

from aloha_stack import graph as graph_module
from aloha_stack.graph import Domain, Graph, GraphFailed


def watch(graph: Graph) -> None:
    while True:
        graph.check()
        time.sleep(0.01)


def test_two_domains_of_one_machine_never_share_a_number():
    taken = [Domain() for _ in range(5)]
    try:
        assert len({domain.number for domain in taken}) == 5
    finally:
        for domain in taken:
            domain.release()


def test_a_domain_whose_first_port_is_in_use_is_passed_over(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("", 7410 + 250 * 17))
        monkeypatch.setattr(graph_module, "DOMAINS", range(17, 18))
        with pytest.raises(GraphFailed, match="all ROS domains"):
            Domain()


def test_a_graph_that_cannot_start_says_why_and_frees_its_domain(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_module, "DOMAINS", range(23, 24))
    graph = Graph("no_such_file", {}, tmp_path / "log")
    with pytest.raises(GraphFailed, match=r"(?s)status 2.*no_such_file.*teleop_record"), graph:
        watch(graph)
    Domain().release()


def test_an_argument_that_is_empty_has_its_default(tmp_path, monkeypatch):
    """The launch file's grammar would refuse it, and with it the whole graph."""
    monkeypatch.setattr(graph_module, "LAUNCH", ["-c", "import sys; sys.exit(str(sys.argv[1:]))"])
    graph = Graph("rollout", {"task": "cube", "variation": ""}, tmp_path / "log")
    with pytest.raises(GraphFailed, match=r"\['rollout', 'task:=cube'\]"), graph:
        watch(graph)


def test_a_session_that_fails_hands_on_its_own_words(tmp_path, monkeypatch):
    standin = tmp_path / "standin.py"
    standin.write_text('print(\'{"event": "failed", "message": "no leaders came"}\')\n')
    monkeypatch.setattr(graph_module, "SESSION", [str(standin)])
    monkeypatch.setattr(graph_module, "LAUNCH", ["-c", "import signal; signal.pause()"])
    graph = Graph("anything", {}, tmp_path / "log")
    with pytest.raises(GraphFailed, match="no leaders came"), graph:
        list(graph.session("demonstrate"))


def test_a_session_uses_the_projects_dds_profile_or_the_operators_own(tmp_path, monkeypatch):
    standin = tmp_path / "standin.py"
    standin.write_text(
        "import json, os; print(json.dumps({'event': 'profile', 'file':"
        "os.environ['FASTRTPS_DEFAULT_PROFILES_FILE']}))"
    )
    monkeypatch.setattr(graph_module, "SESSION", [str(standin)])
    monkeypatch.setattr(graph_module, "LAUNCH", ["-c", "import signal; signal.sigwait([2])"])
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    for given in ("", "mine.xml"):
        if given:
            monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", given)
        graph = Graph("anything", {}, tmp_path / "log")
        with suppress(GraphFailed), graph:  # of the end, which comes early
            (event,) = graph.session("demonstrate")
        assert event["file"].endswith(given or "config/fastdds.xml")

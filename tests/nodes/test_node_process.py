"""`python -m aloha_stack.nodes NAME`: how the launcher starts a node's process."""

import signal
import subprocess
import sys

BEGIN = """
import os, signal, sys, types
import aloha_stack.nodes.__main__ as process
def loaded(name):
    {while_loading}
    return types.SimpleNamespace(main=lambda: print(name, sys.argv) or 3)
process.importlib = types.SimpleNamespace(import_module=loaded)
sys.argv = ["aloha_stack.nodes", "twin", "--ros-args"]
sys.exit(process.run_named())
"""


def run(while_loading: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BEGIN.format(while_loading=while_loading)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_node_that_is_still_being_loaded_ends_at_once_and_quietly() -> None:
    ended = run("os.kill(os.getpid(), signal.SIGINT)")
    assert ended.returncode == -signal.SIGINT
    assert (ended.stdout, ended.stderr) == ("", "")


def test_the_first_word_names_the_node_and_the_others_are_its_own() -> None:
    ended = run("pass")
    assert ended.returncode == 3
    assert ended.stdout == "aloha_stack.nodes.twin ['twin', '--ros-args']\n"

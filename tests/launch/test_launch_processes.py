"""Running a launch: orderly ends, escalation, crashes, output, and nothing left behind.

The nodes are small scripts; each says when it is ready. Waiting is for something that happens.
"""

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from standin_prefix import Prefix

from aloha_stack.launch.ending import judge

BOUND_S = 20.0
"""After this long a test has failed; no test measures time."""

OBEDIENT = """
import signal, sys, time
def end(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    sys.exit(0)
signal.signal(signal.SIGINT, end)
print("ready", flush=True)
while True: time.sleep(0.05)
"""
"""Ends at the first SIGINT."""

PARKING = """
import os, signal, sys, time
got = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: got.append(signal.Signals(number).name))
print("ready", flush=True)
while not got: time.sleep(0.02)
print("parking", flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.02)
print("parked after", *got, flush=True)
"""
"""Ignores further signals, and ends once the file of its first argument exists."""

STUBBORN = """
import signal, time
def ignore(number, frame):
    print("ignored", signal.Signals(number).name, flush=True)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, ignore)
print("ready", flush=True)
while True: time.sleep(0.05)
"""


def node(executable: str, attributes: str = "") -> str:
    return f'<node pkg="standin" exec="{executable}" {attributes}/>'


def read_until(launcher: "subprocess.Popen[str]", text: str, times: int = 1) -> str:
    """What the launcher shows up to the line in which `text` has come so many times."""
    assert launcher.stdout is not None
    descriptor = launcher.stdout.fileno()
    seen = b""
    while not (seen.endswith(b"\n") and seen.count(text.encode()) >= times):
        readable, _, _ = select.select([descriptor], [], [], BOUND_S)
        byte = os.read(descriptor, 1) if readable else b""  # the rest stays for the next reader
        assert byte, f"'{text}' never came; output was:\n{seen.decode()}"
        seen += byte
    return seen.decode()


def end(launcher: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit status and remaining output."""
    output, _ = launcher.communicate(timeout=BOUND_S)
    return launcher.returncode, output


def pids_in(output: str) -> list[int]:
    return [int(line.rsplit(" ", 1)[1]) for line in output.splitlines() if " as process " in line]


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + BOUND_S
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, f"left behind: {[p for p in pids if _runs(p)]}"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_reaches_every_node_once_as_sigint(
    prefix: Prefix, number: signal.Signals
) -> None:
    prefix.executable("obedient", OBEDIENT)
    launcher = prefix.start(node("obedient") + node("obedient"))
    seen = read_until(launcher, "ready", 2)
    os.killpg(launcher.pid, number)  # the whole foreground group, as a terminal does
    status, output = end(launcher)
    assert status == 0
    assert output.count("got SIGINT") == 2
    assert "got SIGTERM" not in output
    wait_until_gone(pids_in(seen))


def test_a_parking_node_is_waited_for_and_asking_again_hastens_nothing(
    prefix: Prefix, tmp_path: Path
) -> None:
    prefix.executable("parking", PARKING)
    done = tmp_path / "done"
    launcher = prefix.start(node("parking", f'args="{done}"'))
    read_until(launcher, "ready")
    launcher.send_signal(signal.SIGINT)
    read_until(launcher, "parking")
    launcher.send_signal(signal.SIGINT)
    assert "waiting at most for parking-1" in read_until(launcher, "already ending")
    done.touch()
    status, output = end(launcher)
    assert status == 0
    assert "parked after SIGINT\n" in output


def test_ctrl_c_in_a_terminal_reaches_every_node_once(prefix: Prefix) -> None:
    prefix.executable("obedient", OBEDIENT)
    pid, terminal = pty.fork()
    if pid == 0:
        prefix.become_launcher(node("obedient") + node("obedient"))
    seen = b""
    while seen.count(b"ready") < 2:
        seen += os.read(terminal, 65536)
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # what a terminal whose last user has left answers
        while data := os.read(terminal, 65536):
            seen += data
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert seen.count(b"got SIGINT") == 2
    assert b"\x1b[" in seen, "names are coloured on a terminal"


def test_a_node_that_does_not_end_gets_sigterm_then_sigkill_and_is_told(prefix: Prefix) -> None:
    prefix.executable("stubborn", STUBBORN)
    launcher = prefix.start(node("stubborn", 'sigterm_timeout="0.2" sigkill_timeout="0.2"'))
    read_until(launcher, "ready")
    launcher.send_signal(signal.SIGINT)
    status, output = end(launcher)
    assert status == 1
    assert output.index("ignored SIGINT") < output.index("ignored SIGTERM")
    assert "stubborn-1 did not end in time and was killed" in output


def test_a_node_has_its_time_after_sigterm_though_that_was_sent_late(prefix: Prefix) -> None:
    """Who sends it was kept from running."""
    prefix.executable("stubborn", STUBBORN)
    launcher = prefix.start(node("stubborn", 'sigterm_timeout="0.2" sigkill_timeout="0.5"'))
    read_until(launcher, "ready")
    (supervisor,) = children_of(launcher.pid)
    launcher.send_signal(signal.SIGINT)
    read_until(launcher, "ignored SIGINT")
    os.kill(supervisor, signal.SIGSTOP)
    time.sleep(0.8)
    os.kill(supervisor, signal.SIGCONT)
    status, output = end(launcher)
    assert status == 1
    assert output.index("ignored SIGTERM") < output.index("was killed")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("raise SystemExit(7)", "broken-2 died with exit code 7"),
        ("import os; os.kill(os.getpid(), 11)", "broken-2 was killed by SIGSEGV"),
    ],
)
def test_a_crash_is_told_the_others_go_on_and_the_exit_status_tells_it(
    prefix: Prefix, script: str, told: str
) -> None:
    prefix.executable("obedient", OBEDIENT)
    prefix.executable("broken", script)
    launcher = prefix.start(node("obedient") + node("broken"))
    read_until(launcher, told)
    assert launcher.poll() is None
    launcher.send_signal(signal.SIGINT)
    status, output = end(launcher)
    assert status == 1
    assert f"not all ended in order: {told}" in output


@pytest.mark.parametrize(("ends", "expected"), [("sys.exit(0)", 0), ("sys.exit(2)", 1)])
def test_the_end_of_a_node_with_on_exit_shutdown_ends_all(
    prefix: Prefix, tmp_path: Path, ends: str, expected: int
) -> None:
    go = tmp_path / "go"
    wait = f"import os, sys, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.02)\n"
    prefix.executable("obedient", OBEDIENT)
    prefix.executable("short", wait + ends)
    launcher = prefix.start(node("obedient") + node("short", 'on_exit="shutdown"'))
    read_until(launcher, "ready")
    go.touch()
    status, output = end(launcher)
    assert status == expected
    assert "short-2 has ended: ending 1 nodes" in output
    assert "got SIGINT" in output


def test_the_launch_ends_when_all_nodes_have_ended(prefix: Prefix) -> None:
    prefix.executable("short", "pass")
    assert end(prefix.start(node("short") + node("short")))[0] == 0


def test_a_node_that_was_ended_by_the_signal_it_was_sent_has_not_crashed(prefix: Prefix) -> None:
    prefix.executable("plain", "import time\nprint('ready', flush=True)\ntime.sleep(60)")
    launcher = prefix.start(node("plain"))
    read_until(launcher, "ready")
    launcher.send_signal(signal.SIGINT)
    assert end(launcher)[0] == 0


@pytest.mark.parametrize("whole_group", [False, True])
def test_killing_the_launcher_still_parks_the_nodes_and_leaves_none_behind(
    prefix: Prefix, tmp_path: Path, whole_group: bool
) -> None:
    prefix.executable("parking", PARKING)
    done = tmp_path / "done"
    launcher = prefix.start(node("parking", f'args="{done}"'))
    pids = [*pids_in(read_until(launcher, "ready")), *children_of(launcher.pid)]
    if whole_group:
        os.killpg(launcher.pid, signal.SIGKILL)
    else:
        launcher.kill()
    assert "the launcher was killed" in read_until(launcher, "parking")
    done.touch()
    assert "parked after SIGINT\n" in end(launcher)[1]
    wait_until_gone(pids)


def test_killing_the_launcher_still_ends_a_stubborn_node(prefix: Prefix) -> None:
    prefix.executable("stubborn", STUBBORN)
    launcher = prefix.start(node("stubborn", 'sigterm_timeout="0.2" sigkill_timeout="0.2"'))
    pids = [*pids_in(read_until(launcher, "ready")), *children_of(launcher.pid)]
    launcher.kill()
    wait_until_gone(pids)


def test_killing_the_supervisor_still_interrupts_the_nodes(prefix: Prefix) -> None:
    prefix.executable("obedient", OBEDIENT)
    launcher = prefix.start(node("obedient"))
    pids = pids_in(read_until(launcher, "ready"))
    (supervisor,) = children_of(launcher.pid)
    os.kill(supervisor, signal.SIGKILL)
    status, output = end(launcher)
    assert status == 1
    assert "the supervisor was killed by SIGKILL" in output
    wait_until_gone(pids)


def test_processes_that_a_node_leaves_behind_are_ended(prefix: Prefix) -> None:
    prefix.executable(
        "parent",
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "print('child as process', child.pid, flush=True)",
    )
    status, output = end(prefix.start(node("parent")))
    assert status == 0
    wait_until_gone(pids_in(output))


def test_no_output_is_lost_and_every_line_tells_its_node(prefix: Prefix) -> None:
    prefix.executable(
        "talker",
        "import os, sys\n"
        "for i in range(20000): print('line', i)\n"
        "print('to stderr', file=sys.stderr)\n"
        "sys.stdout.flush()\n"
        "os.write(1, b'not text \\xff and no line end')",
    )
    process = prefix.start(node("talker") + node("talker"))
    assert process.stdout is not None
    raw = process.stdout.buffer.read()
    assert process.wait(BOUND_S) == 0
    for label in (b"talker-1", b"talker-2"):
        lines = [line for line in raw.splitlines() if line.startswith(b"[" + label + b"] ")]
        numbers = [int(line.split()[2]) for line in lines if b"] line " in line]
        assert numbers == list(range(20000))
        assert b"[" + label + b"] to stderr" in lines
        assert b"[" + label + b"] not text \xff and no line end" in lines


def test_a_reader_that_stops_reading_does_not_stall_the_nodes(
    prefix: Prefix, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    prefix.executable(
        "talker", "import sys\nprint('x' * 4000000, flush=True)\nopen(sys.argv[1], 'w').close()"
    )
    launcher = prefix.start(node("talker", f'args="{done}"'))
    deadline = time.monotonic() + BOUND_S
    while not done.exists():  # nothing is read meanwhile
        assert time.monotonic() < deadline
        time.sleep(0.02)
    status, output = end(launcher)
    assert status == 0
    assert output.count("x") >= 4000000


def test_a_node_gets_its_parameters_arguments_and_environment(prefix: Prefix) -> None:
    prefix.executable(
        "shows",
        "import os, sys\n"
        "words = sys.argv[1:]\n"
        "print('file', ' '.join(open(words[words.index('--params-file') + 1]).read().split()))\n"
        "print('words', *[w for w in words if not w.startswith('/')])\n"
        "print('env', os.environ['E'])",
    )
    body = """<node pkg="standin" exec="shows" name="me" namespace="/there" args="--own">
        <param name="p" value="[1, 2]"/><remap from="a" to="b"/>
        <env name="E" value="set"/></node>"""
    status, output = end(prefix.start(body))
    assert status == 0
    assert "] file /there/me: ros__parameters: p: - 1 - 2" in output
    assert "] words --own --ros-args -r __node:=me -r __ns:=/there --params-file -r a:=b" in output
    assert "] env set" in output


def test_an_executable_that_is_not_there_is_named_and_nothing_starts(prefix: Prefix) -> None:
    prefix.executable("obedient", OBEDIENT)
    status, output = end(prefix.start(node("obedient") + node("nowhere")))
    assert status == 1
    assert "executable 'nowhere' of package 'standin' was not found; it has: obedient" in output
    assert " as process " not in output


def test_a_start_that_fails_is_named_and_what_runs_is_ended_in_order(prefix: Prefix) -> None:
    prefix.executable("obedient", OBEDIENT)
    prefix.executable("unstartable", "")
    (prefix.libexec / "unstartable").write_text("#!/nowhere/interpreter\n")
    launcher = prefix.start(node("obedient") + node("unstartable") + node("obedient"))
    status, output = end(launcher)
    assert status == 1
    assert "unstartable-2 could not be started" in output
    assert output.count(" as process ") == 1


def test_a_fault_in_the_file_starts_nothing(prefix: Prefix) -> None:
    prefix.executable("obedient", OBEDIENT)
    status, output = end(prefix.start(node("obedient") + "<timer/>"))
    assert status == 2
    assert "<timer> is not supported" in output
    assert " as process " not in output


def test_a_launch_in_the_background_can_still_interrupt_its_nodes(prefix: Prefix) -> None:
    """A shell without job control starts background commands with SIGINT ignored."""
    prefix.executable("plain", "import time\nprint('ready', flush=True)\ntime.sleep(60)")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        launcher = prefix.start(node("plain"))
    finally:
        signal.signal(signal.SIGINT, before)
    read_until(launcher, "ready")
    launcher.send_signal(signal.SIGTERM)
    status, output = end(launcher)
    assert status == 0
    assert "was ended by SIGINT" in output


@pytest.mark.parametrize(
    ("returncode", "sent", "orderly"),
    [
        (0, set(), True),
        (1, {signal.SIGINT}, False),
        (-signal.SIGINT, {signal.SIGINT}, True),
        (-signal.SIGINT, set(), False),
        (128 + signal.SIGINT, {signal.SIGINT}, True),
        (128 + signal.SIGINT, set(), False),
        (-signal.SIGTERM, {signal.SIGINT, signal.SIGTERM}, True),
        (-signal.SIGKILL, {signal.SIGINT, signal.SIGTERM, signal.SIGKILL}, False),
        (-signal.SIGSEGV, {signal.SIGINT}, False),
        (-40, set(), False),
    ],
)
def test_an_end_is_orderly_only_if_nothing_went_wrong(
    returncode: int, sent: set[int], orderly: bool
) -> None:
    assert judge(returncode, sent).orderly is orderly

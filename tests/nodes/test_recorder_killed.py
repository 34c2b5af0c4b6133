"""SIGKILL at any moment costs a recording no more than its last moments, and nothing else."""

import os
import random
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import rclpy
import yaml
from aloha_interfaces.action import RecordEpisode
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from aloha_stack.bench.footage import footage
from aloha_stack.episodes.folder import next_episode
from aloha_stack.episodes.metadata import read_metadata
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.repair import DONE, WHOLE, repair
from aloha_stack.graph import Domain
from aloha_stack.robot.share import share_folder
from episodes.broken_files import mcap_of, read

LANES, KILLS = 4, 5
"""So many recorders at once, each killed and started anew so often: twenty kills."""

LONGEST_S = 3.0
"""Until a kill: twice what may be missing."""

MISSING_NS = 1_500_000_000
ARMS, CAMERA = ("leader_left", "follower_left"), "cam_high"

Sent = dict[str, dict[int, int]]
"""By topic and sequence number, when (ns) the middleware had taken a message over."""


@dataclass(frozen=True)
class Killed:
    """An episode, when its recorder was known to be recording, and when it was killed; ns."""

    path: Path
    began_ns: int
    killed_ns: int


class Rig:
    """A robot that publishes every stream, and recorders that come and go, as processes."""

    def __init__(self, folder: Path, domain: int) -> None:
        self._folder, self._log = folder, folder / "sent.log"
        self.robot_file = _robot_file(folder / "robot.yaml")
        self._environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(folder / "ros"),
        }
        self._words = (folder / "words.log").open("ab")
        self._lock, self._recorders = threading.Lock(), set[int]()
        pictures = footage(folder / "footage", count=10)
        robot = ["--robot", self.robot_file, "--pictures", str(pictures), "--log", str(self._log)]
        self._robot = self._start("-m", "aloha_stack.nodes.bench_record", *robot)
        self._starter = self._start(str(Path(__file__).with_name("forked_recorders.py")))
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node("client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._ending = threading.Event()
        self._spinning = threading.Thread(target=self._spin)
        self._spinning.start()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
        )

    def recorder(self, name: str, directory: Path) -> int:
        """A process ID. Its namespace is its own, so that the next can be started meanwhile."""
        parameters = f"-p robot:={self.robot_file} -p directory:={directory} -p min_free_gib:=0.1"
        with self._lock:
            self._starter.stdin.write(f"--ros-args -r __ns:=/{name} {parameters}\n")
            self._starter.stdin.flush()
            process = int(self._starter.stdout.readline())
            self._recorders.add(process)
        return process

    def begin(self, name: str) -> int:
        """Returns once the recorder tells that it is recording: the time of that, ns."""
        client = ActionClient(self._node, RecordEpisode, f"/{name}/recorder/record_episode")
        recording = threading.Event()
        end_s = time.monotonic() + 60
        while time.monotonic() < end_s:
            if client.wait_for_server(0.1):
                # Again and again: it may not hear everything yet, and a request or an answer may
                # be lost while client and server find each other.
                goal = RecordEpisode.Goal(task="transfer_cube", seed=3)
                client.send_goal_async(goal, lambda _: recording.set())
                if recording.wait(1.0):
                    return time.time_ns()
        raise AssertionError(Path(self._words.name).read_text()[-2000:])

    def lane(self, number: int, waits_s: list[float]) -> list[Killed]:
        """One recorder after the other, killed after so long, into one folder."""
        directory = self._folder / f"out{number}"
        names = [f"lane{number}_{kill}" for kill in range(len(waits_s))]
        processes = [self.recorder(names[0], directory)]
        found = []
        for kill, wait_s in enumerate(waits_s):
            began_ns = self.begin(names[kill])
            processes += [self.recorder(name, directory) for name in names[kill + 1 : kill + 2]]
            time.sleep(wait_s)
            killed_ns = time.time_ns()
            self.kill(processes[kill])
            found.append(Killed(directory / f"episode_{kill:06d}", began_ns, killed_ns))
        assert sorted(directory.iterdir()) == [each.path for each in found]
        return found

    def kill(self, process: int) -> None:
        with self._lock:
            self._recorders.discard(process)
        handle = os.pidfd_open(process)
        os.kill(process, signal.SIGKILL)
        select.select([handle], [], [])  # all its threads are gone, and its lock with them
        os.close(handle)

    def sent(self) -> Sent:
        """What the robot noted; it publishes no more."""
        self._robot.kill()
        self._robot.wait()
        found: Sent = defaultdict(dict)
        for line in self._log.read_text().splitlines(keepends=True):
            if line.endswith("\n"):  # the last may be half
                topic, sequence, sent_ns = line.split()
                found[topic][int(sequence)] = int(sent_ns)
        return found

    def close(self) -> None:
        self._ending.set()
        self._spinning.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)
        for process in tuple(self._recorders):
            self.kill(process)
        for process in (self._robot, self._starter):
            process.kill()
            process.communicate()
        self._words.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    domain = Domain()
    rig = Rig(tmp_path, domain.number)
    try:
        yield rig
    finally:
        rig.close()
        domain.release()
        for lane in range(LANES):  # hundreds of megabytes
            shutil.rmtree(tmp_path / f"out{lane}", ignore_errors=True)


def test_at_twenty_moments_no_more_than_the_last_second_and_a_half_is_missing(rig: Rig) -> None:
    """By what the publishers noted that they have sent."""
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    waits_s = [[rng.uniform(0.0, LONGEST_S) for _ in range(KILLS)] for _ in range(LANES)]
    with ThreadPoolExecutor(LANES) as lanes:
        killed = [each for lane in lanes.map(rig.lane, range(LANES), waits_s) for each in lane]
    sent = rig.sent()
    missing_s = [missing_ns(each, sent) * 1e-9 for each in killed]
    assert max(missing_s) <= MISSING_NS * 1e-9, f"seed {seed}: {missing_s}"
    for lane in range(LANES):
        folder = killed[lane * KILLS].path.parent
        assert next_episode(folder).name == f"episode_{KILLS:06d}"


def missing_ns(killed: Killed, sent: Sent) -> int:
    """Repairs an episode; for how long before the kill the end of any stream is missing.

    A message in the middle that never reached the recorder is not the kill's fault: the recorder
    counts those, and other tests that.
    """
    assert repair(killed.path).state == DONE
    assert read_metadata(killed.path)["custom_data"]["outcome"] == "interrupted"
    newest: dict[str, int] = {}
    records = list(Episode(killed.path).records())
    for record in records:
        newest[record.topic] = record.sequence
    assert len(records) == len(read(mcap_of(killed.path)))
    assert repair(killed.path).state == WHOLE
    longest = 0
    for topic, times in sent.items():
        gone = [
            killed.killed_ns - sent_ns
            for number, sent_ns in times.items()
            if number > newest.get(topic, 0) and killed.began_ns <= sent_ns <= killed.killed_ns
        ]
        longest = max([longest, *gone])
    return longest


def _robot_file(path: Path) -> str:
    """Half of a robot, with one camera: four recorders at once are to fit on two cores."""
    values = yaml.safe_load((share_folder() / "config/robots/aloha.yaml").read_text())
    for part in ("arms", "mounts"):
        values[part] = {arm: values[part][arm] for arm in ARMS}
    values["cameras"] = {CAMERA: values["cameras"][CAMERA]}
    path.write_text(yaml.safe_dump(values))
    return str(path)

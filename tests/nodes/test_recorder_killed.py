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
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from aloha_stack.bench.footage import footage
from aloha_stack.episodes.folder import next_episode
from aloha_stack.episodes.metadata import read_metadata
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.repair import DONE, WHOLE, repair
from aloha_stack.graph import Domain
from aloha_stack.robot.share import share_folder
from episodes.broken_files import mcap_of, read
from standstills import Standstills

LANES, KILLS = 4, 5
"""So many recorders at once, each killed and started anew so often: twenty kills.

Each lane has a robot and a ROS domain of its own: whoever is killed while Fast DDS opens a port in
shared memory may hold up all others of its domain.
"""

LONGEST_S = 3.0
"""Until a kill: twice what may be missing."""

MISSING_S = 1.5
ARMS, CAMERA = ("leader_left", "follower_left"), "cam_high"

Sent = dict[str, dict[int, int]]
"""By topic and sequence number, when (ns) the middleware had taken a message over."""


@dataclass(frozen=True)
class Killed:
    """An episode, when its recorder was known to be recording, and when it was killed; ns."""

    path: Path
    began_ns: int
    killed_ns: int


class Processes:
    """Nodes as processes, which are killed one by one, or all in the end."""

    def __init__(self, folder: Path) -> None:
        self.words = folder / "words.log"
        self._log = self.words.open("ab")
        self._lock = threading.Lock()
        self._running: set[int] = set()
        local = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_LOG_DIR": str(folder / "ros")}
        self._starter = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forked_nodes.py"))],
            env={**os.environ, **local},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )

    def start(self, domain: int, module: str, *arguments: object) -> int:
        """Its process ID."""
        with self._lock:
            print(domain, module, *arguments, file=self._starter.stdin, flush=True)
            process = int(self._starter.stdout.readline())
            self._running.add(process)
        return process

    def kill(self, process: int) -> None:
        """By SIGKILL; returns when all its threads are gone, and its locks with them."""
        with self._lock:
            self._running.discard(process)
        handle = os.pidfd_open(process)
        os.kill(process, signal.SIGKILL)
        select.select([handle], [], [])
        os.close(handle)

    def close(self) -> None:
        for process in tuple(self._running):
            self.kill(process)
        os.killpg(self._starter.pid, signal.SIGKILL)  # whoever is left would hold the pipe open
        self._starter.communicate()
        self._log.close()


class Lane:
    """A robot that publishes every stream, and one recorder after the other, which are killed."""

    def __init__(self, folder: Path, processes: Processes, domain: int) -> None:
        folder.mkdir()
        self.directory = folder / "out"
        self._log, self._robot_file = folder / "sent.log", _robot_file(folder / "robot.yaml")
        self._processes, self._domain = processes, domain
        pictures = footage(folder.parent / "footage", count=10)
        options = ("--robot", self._robot_file, "--pictures", pictures, "--log", self._log)
        self._robot = processes.start(domain, "bench_record", *options)

    def run(self, waits_s: list[float]) -> list[Killed]:
        """Each recorder is killed when it has been recording for so long."""
        arguments = f"-p robot:={self._robot_file} -p directory:={self.directory}"
        found = []
        for number, wait_s in enumerate(waits_s):
            process = self._processes.start(
                self._domain, "recorder", "--ros-args", arguments, "-p min_free_gib:=0.1"
            )
            began_ns = self._begin(number)
            time.sleep(wait_s)
            killed_ns = time.time_ns()
            self._processes.kill(process)
            found.append(Killed(self.directory / f"episode_{number:06d}", began_ns, killed_ns))
        assert sorted(self.directory.iterdir()) == [each.path for each in found]
        return found

    def sent(self) -> Sent:
        """What the robot noted; it publishes no more."""
        self._processes.kill(self._robot)
        found: Sent = defaultdict(dict)
        for line in self._log.read_text().splitlines(keepends=True):
            if line.endswith("\n"):  # the last may be half
                topic, sequence, sent_ns = line.split()
                found[topic][int(sequence)] = int(sent_ns)
        return found

    def _begin(self, number: int) -> int:
        """Returns once the recorder tells that it is recording: the time of that, ns."""
        began = self.directory.with_name(f"began_{number}")
        client = self._processes.start(self._domain, "recording_client", began)
        end_s = time.monotonic() + 60
        while time.monotonic() < end_s and not began.exists():
            time.sleep(0.01)
        self._processes.kill(client)
        assert began.exists(), self._processes.words.read_text()[-2000:]
        return int(began.read_text())


@pytest.fixture
def lanes(tmp_path: Path) -> Iterator[list[Lane]]:
    with ExitStack() as stack:
        processes = Processes(tmp_path)
        domains = [Domain() for _ in range(LANES)]
        for domain in domains:
            stack.callback(domain.release)
        stack.callback(processes.close)
        lanes = [
            Lane(tmp_path / f"lane{number}", processes, domain.number)
            for number, domain in enumerate(domains)
        ]
        for lane in lanes:  # hundreds of megabytes
            stack.callback(shutil.rmtree, lane.directory, ignore_errors=True)
        yield lanes


def test_at_twenty_moments_no_more_than_the_last_second_and_a_half_is_missing(
    lanes: list[Lane],
) -> None:
    """By what publishers noted that they have sent; a machine that stood still takes no time."""
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    waits_s = [[rng.uniform(0.0, LONGEST_S) for _ in range(KILLS)] for _ in lanes]
    with Standstills() as standstills, ThreadPoolExecutor(LANES) as pool:
        killed = list(pool.map(Lane.run, lanes, waits_s))
    missing = []
    for lane, of_lane in zip(lanes, killed, strict=True):
        sent = lane.sent()
        missing += [missing_s(each, sent, standstills) for each in of_lane]
        assert next_episode(lane.directory).name == f"episode_{KILLS:06d}"
    assert max(missing) <= MISSING_S, f"seed {seed}: {missing}"


def missing_s(killed: Killed, sent: Sent, standstills: Standstills) -> float:
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
    longest_ns = 0
    for topic, times in sent.items():
        gone = [
            killed.killed_ns - sent_ns - standstills.within(sent_ns, killed.killed_ns)
            for number, sent_ns in times.items()
            if number > newest.get(topic, 0) and killed.began_ns <= sent_ns <= killed.killed_ns
        ]
        longest_ns = max([longest_ns, *gone])
    return longest_ns * 1e-9


def _robot_file(path: Path) -> Path:
    """Half of a robot, with one camera: four recorders at once are to fit on two cores."""
    values = yaml.safe_load((share_folder() / "config/robots/aloha.yaml").read_text())
    for part in ("arms", "mounts"):
        values[part] = {arm: values[part][arm] for arm in ARMS}
    values["cameras"] = {CAMERA: values["cameras"][CAMERA]}
    path.write_text(yaml.safe_dump(values))
    return path

"""By default nobody on another host sees a topic of the robot, or can command it.

The other host is a network namespace (with a /dev/shm of its own) at the far end of a cable, a veth
pair. Both lie in a user namespace of their own: nothing of this machine's network is touched, and
nobody needs to be root.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aloha_stack.launch.evaluate import make_plan
from aloha_stack.launch.packages import find_launch_file
from aloha_stack.transport import ONLY_LOCALHOST, PEERS, PROFILE, RANGE

DEFAULT, OPENED = 61, 62
"""ROS domains: of a robot as the launch files leave it, and of one that was opened."""
LIMIT_S = 60.0

TWO_HOSTS = """
set -e
trap 'kill $started || :' EXIT
mount -t tmpfs tmpfs /dev/shm
unshare -n -m sh -c 'mount -t tmpfs tmpfs /dev/shm; exec sleep 200' >far.log 2>&1 &
far=$!
started=$far
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
enter="nsenter -t $far -n -m"
ip link add here type veth peer name there
ip link set there netns $far
ip addr add 10.77.0.1/24 dev here
$enter ip addr add 10.77.0.2/24 dev there
for name in lo here; do ip link set $name up; done
for name in lo there; do $enter ip link set $name up; done
for kind in control images opened; do
    "$PYTHON" robot.py $kind >$kind.log 2>&1 &
    started="$started $!"
done
$enter "$PYTHON" "$PWD/stranger.py" $CLOSED $OPENED
"""

ROBOT = """
import json, os, sys
from std_msgs.msg import Int32
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from aloha_stack.nodes._node import SimpleNode, run

kind = sys.argv[1]
os.environ.update(json.load(open(f"{kind}.json")))

class Robot(SimpleNode):
    def __init__(self):
        super().__init__(kind)
        self.said = self.create_publisher(Int32, f"/{kind}/said", 5)
        self.create_service(Trigger, f"/{kind}/e_stop", self.stop)
        self.create_subscription(JointTrajectory, f"/{kind}/command", self.obey, 1)

    def stop(self, request, response):
        open(f"{kind}.obeyed", "a").write("stopped ")
        response.success = True
        return response

    def obey(self, message):
        open(f"{kind}.obeyed", "a").write("moved ")

sys.exit(run(Robot, args=[], images=kind == "images"))
"""

STRANGER = """
import json, os, sys, time
import rclpy
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

class Guest:
    # Somebody in one domain, who tries whatever he can.
    def __init__(self, domain, kinds):
        self.kinds, self.seen, self.answered, self.calls = kinds, set(), set(), {}
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("stranger", context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        tell, kind_of = self.node.create_publisher, JointTrajectory
        self.commands = [tell(kind_of, f"/{k}/command", 1) for k in kinds]
        self.clients = {k: self.node.create_client(Trigger, f"/{k}/e_stop") for k in kinds}

    def look(self):
        for publisher in self.commands:
            publisher.publish(JointTrajectory())
        for kind, client in self.clients.items():
            call = self.calls.get(kind)
            if call is None and client.service_is_ready():
                self.calls[kind] = client.call_async(Trigger.Request())
            if call is not None and call.done():
                self.answered.add(kind)
        own = {"/rosout", "/parameter_events", *(f"/{k}/command" for k in self.kinds)}
        self.seen |= {name for name, _ in self.node.get_topic_names_and_types()} - own
        self.seen |= set(self.node.get_node_names()) - {"stranger"}
        self.executor.spin_once(0.02)

    def told(self):
        return {"seen": sorted(self.seen), "answered": sorted(self.answered)}

closed, opened = Guest(int(sys.argv[1]), ["control", "images"]), Guest(int(sys.argv[2]), ["opened"])
os.environ["ROS_STATIC_PEERS"] = "10.77.0.1"
knowing = Guest(int(sys.argv[1]), ["control"])
end, known_s = time.monotonic() + 40, None
# As long again as it took to reach the one that was opened, and a while.
while time.monotonic() < end:
    closed.look()
    opened.look()
    knowing.look()
    if known_s is None and opened.answered and "images" in knowing.seen:
        known_s = time.monotonic()
        end = known_s + 1.5
guests = {"default": closed, "opened": opened, "knowing": knowing}
print(json.dumps({name: guest.told() for name, guest in guests.items()}), flush=True)
os._exit(0)
"""


def environment_of(executable: str, domain: int, **more: str) -> dict[str, str]:
    """What a launch file gives a node, where the shell says nothing of discovery."""
    said = {k: v for k, v in os.environ.items() if k not in (RANGE, PROFILE, PEERS, ONLY_LOCALHOST)}
    nodes = make_plan(find_launch_file("robot"), {"robot": "twin"}, said | more)
    node = next(node for node in nodes if node.executable == executable)
    chosen = {key: node.environment[key] for key in (RANGE, PROFILE)}
    return chosen | {"ROS_DOMAIN_ID": str(domain)}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a stranger saw and did, and what the robots obeyed."""
    folder = tmp_path_factory.mktemp("two_hosts")
    (folder / "robot.py").write_text(ROBOT)
    (folder / "stranger.py").write_text(STRANGER)
    files = {
        "control": environment_of("safety", DEFAULT),
        "images": environment_of("camera", DEFAULT),
        "opened": environment_of("safety", OPENED, **{RANGE: "SUBNET"}),
    }
    for name, environment in files.items():
        (folder / f"{name}.json").write_text(json.dumps(environment))
    environment = {
        k: v for k, v in os.environ.items() if k not in (RANGE, PROFILE, PEERS, ONLY_LOCALHOST)
    }
    environment |= {"PYTHON": sys.executable, "CLOSED": str(DEFAULT), "OPENED": str(OPENED)}
    told = in_two_hosts(TWO_HOSTS, folder, environment)
    obeyed = {name: folder / f"{name}.obeyed" for name in files}
    return json.loads(told.splitlines()[-1]) | {
        "obeyed": {name: file.read_text() for name, file in obeyed.items() if file.exists()}
    }


def in_two_hosts(script: str, folder: Path, environment: dict[str, str]) -> str:
    """What the script prints. AssertionError, with why, where there can be no namespaces."""
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", script]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, errors = process.communicate(timeout=LIMIT_S)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == 0, (
        f"no second host could be made: {errors.strip()}\nexpected: unprivileged user and network "
        "namespaces (util-linux, iproute2). In a container: docker run --cap-add SYS_ADMIN "
        "--security-opt apparmor=unconfined --security-opt seccomp=unconfined; on Ubuntu: sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0"
    )
    return out


def test_a_stranger_sees_nothing_and_commands_nothing_by_default(story: dict[str, Any]) -> None:
    assert story["default"] == {"seen": [], "answered": []}
    assert not {"control", "images"} & set(story["obeyed"])


def test_who_names_the_robots_address_still_reaches_nothing_that_moves(
    story: dict[str, Any],
) -> None:
    """He reaches nodes with images: the range of discovery keeps nobody out who knows the way."""
    knowing = story["knowing"]
    assert "images" in knowing["seen"], "his way is open"
    assert not {"control", "/control/said"} & set(knowing["seen"])
    assert knowing["answered"] == []
    assert "control" not in story["obeyed"]


def test_a_robot_that_was_opened_to_the_subnet_is_seen_and_obeys(story: dict[str, Any]) -> None:
    """The control: the cable carries all of it."""
    assert {"/opened/said", "opened"} <= set(story["opened"]["seen"])
    assert story["opened"]["answered"] == ["opened"]
    assert {"moved", "stopped"} <= set(story["obeyed"]["opened"].split())

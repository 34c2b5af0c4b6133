"""Whether images get from process to process: the DDS profile, and the memory that it takes.

Fast DDS hands over images in shared memory, of which each process has a segment of its own. What
finds no room in it is lost without a word (config/fastdds.xml tells the figures).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

from aloha_stack.doctor.finding import OK, RED, WARN, Finding
from aloha_stack.robot.description import Robot
from aloha_stack.shared_memory import FOLDER, leftovers, lost_ports
from aloha_stack.transport import PEERS, PROFILE, without_shared_memory

KILLS = "killed nodes"

HELD_S = 0.15
"""So long a receiving process may be kept from running without loss of raw images."""

DEFAULT_SEGMENT = 512 * 1024
"""A process's segment if no profile is in force (Fast DDS 2.14), bytes."""

WITH_IMAGES = 6
"""Processes that send or hear images: cameras, recorder, policy; and three of a person's."""

OTHERS = 8
"""Processes with a node besides the arms' bridges: safety, cameras, teleoperation, recorder, …"""


def check_dds(
    environment: Mapping[str, str], profile: Path, robot: Robot, memory: Path = FOLDER
) -> Iterator[Finding]:
    """The profile in force, for the robot's images, and the room for it in `memory`.

    `profile` is the project's own.
    """
    middleware = environment.get("RMW_IMPLEMENTATION", "") or "rmw_fastrtps_cpp"
    if not middleware.startswith("rmw_fastrtps"):
        text = f"{middleware} is in use; the project is tested with rmw_fastrtps_cpp"
        yield Finding(WARN, "DDS profile", text)
        return
    finding, segment = _profile(environment, profile, robot)
    yield finding
    apart = without_shared_memory(environment) is not None
    yield _apart() if apart else _together(environment)
    yield _room(segment, WITH_IMAGES if apart else len(robot.arms) + OTHERS, memory)
    if lost := lost_ports(memory):
        text = f"{len(lost)} were left half made by processes that were killed, as {lost[0]}: "
        text += "nodes with images that come upon one wait for ever"
        mend = "./aloha launch, and the start of any node with images, gives them up"
        yield Finding(WARN, "shared memory's ports", text, mend)


def _apart() -> Finding:
    text = "arms, safety and all else without images use UDP alone: the death of others holds none"
    return Finding(OK, KILLS, text)


def _together(environment: Mapping[str, str]) -> Finding:
    text = "all nodes use shared memory: one that is killed can hold an arm's bridge for seconds"
    if environment.get(PEERS):
        mend = f"unset {PEERS}, or ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET, which knows them, too"
    else:
        mend = f"use ROS 2 Jazzy, and unset {PROFILE}: each node then selects the project's"
    return Finding(WARN, KILLS, text, mend)


def _profile(environment: Mapping[str, str], profile: Path, robot: Robot) -> tuple[Finding, int]:
    """What is in force, and the segment that each process then has, bytes."""
    subject = "DDS profile"
    use_ours = f"export {PROFILE}={profile}"
    named = environment.get(PROFILE, "")
    if not named:
        text = f"not in force: {PROFILE} is not set, and Fast DDS's own buffers lose images"
        return Finding(WARN, subject, text, use_ours), DEFAULT_SEGMENT
    path = Path(named)
    try:
        segment = segment_bytes(path)
    except OSError as error:
        text = f"not in force: {PROFILE}={path}: {error.strerror}"
        return Finding(RED, subject, text, use_ours), DEFAULT_SEGMENT
    except (ElementTree.ParseError, ValueError) as error:
        text = f"not in force: {path} is no valid profile: {error}"
        return Finding(RED, subject, text, f"correct the file, or {use_ours}"), DEFAULT_SEGMENT
    needed = needed_bytes(robot)
    if segment < needed:
        text = (
            f"{path}: segments of {_mib(segment)} hold {robot.name}'s raw images for less than "
            f"{HELD_S:g} s ({_mib(needed)}): busy receivers lose some"
        )
        return Finding(WARN, subject, text, f"raise segment_size, or {use_ours}"), segment
    return Finding(OK, subject, f"{path}: segments of {_mib(segment)}"), segment


def segment_bytes(path: Path) -> int:
    """The shared memory of a process whose default profile is in the file `path`, bytes.

    Raises OSError, ElementTree.ParseError, or ValueError for numbers that are none.
    """
    root = ElementTree.parse(path).getroot()
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # without the name space
    for participant in root.iter("participant"):
        if participant.get("is_default_profile") == "true":
            used = [one.text for one in participant.findall("rtps/userTransports/transport_id")]
            break
    else:
        return DEFAULT_SEGMENT
    for transport in root.iter("transport_descriptor"):
        if transport.findtext("transport_id") in used and transport.findtext("type") == "SHM":
            return int(transport.findtext("segment_size") or DEFAULT_SEGMENT)
    return DEFAULT_SEGMENT


def needed_bytes(robot: Robot) -> int:
    """What the robot's cameras send in HELD_S, raw: whoever handles them raw has most of them."""
    cameras = robot.cameras.values()
    return round(sum(one.width * one.height * 3 * one.rate_hz * HELD_S for one in cameras))


def _room(segment: int, processes: int, memory: Path) -> Finding:
    """Whether all processes find their segments."""
    subject = "shared memory"
    try:
        found = os.statvfs(memory)
    except OSError as error:
        return Finding(RED, subject, f"{memory}: {error.strerror}", "mount a tmpfs there")
    free = found.f_bavail * found.f_frsize
    dead = sum(size for _, size in leftovers(memory))
    alive = _taken(memory) - dead  # by processes that need no more
    of_dead = f", {_mib(dead)} held by dead processes" if dead else ""
    text = (
        f"{_mib(free)} free in {memory}{of_dead}; {processes} processes take {_mib(segment)} each"
    )
    if free + alive >= processes * segment:
        return Finding(OK, subject, text)
    mend = f"make it larger: mount -o remount,size=2G {memory}; in Docker --shm-size=2g"
    if dead:
        mend = f"./aloha launch gives back what dead processes hold. If that is too little, {mend}"
    text += ": those that find no room fall back to small buffers, and lose images"
    return Finding(WARN if free >= segment else RED, subject, text, mend)


def _taken(memory: Path) -> int:
    """What Fast DDS has in `memory`, bytes."""
    total = 0
    for file in memory.glob("fastrtps_*"):
        with suppress(FileNotFoundError):  # its process has just ended
            total += file.stat().st_blocks * 512
    return total


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB".replace(".0 ", " ")

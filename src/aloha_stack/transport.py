"""Keeps a process off shared memory, so that the death of another cannot hold it."""

import contextlib
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

from aloha_stack.robot.share import share_folder

PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
"""What Fast DDS 2 (ROS 2 Jazzy) reads. Fast DDS 3 has it with FASTDDS, which 2 does not know."""
RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
ONLY_LOCALHOST = "ROS_LOCALHOST_ONLY"
PEERS = "ROS_STATIC_PEERS"
CHANGED = (PROFILE, RANGE, ONLY_LOCALHOST)

DISTROS = ("", "jazzy")
"""Those that PROFILE is known to rule; elsewhere nothing would keep to the range of discovery."""


@contextlib.contextmanager
def udp_alone(environment: MutableMapping[str, str]) -> Iterator[None]:
    """While rclpy begins and makes a process's first node: `environment` is as
    `without_shared_memory` says, and afterwards as it was.

    The first of the process, not of a context: Fast DDS reads its profile once, and a later node
    would use shared memory all the same, with another range of discovery.
    """
    before = {name: environment[name] for name in CHANGED if name in environment}
    environment.update(without_shared_memory(environment) or {})
    try:
        yield
    finally:
        for name in CHANGED:
            environment.pop(name, None)
        environment.update(before)


def without_shared_memory(environment: Mapping[str, str]) -> dict[str, str] | None:
    """What selects config/fastdds_control.xml, or its likeness for LOCALHOST.

    None for another middleware or distribution, where a profile other than the project's was
    chosen, and under LOCALHOST with ROS_STATIC_PEERS, which only the middleware adds (nodes then
    use shared memory, as it does by itself).
    """
    middleware = environment.get("RMW_IMPLEMENTATION", "") or "rmw_fastrtps_cpp"
    known = middleware.startswith("rmw_fastrtps") and environment.get("ROS_DISTRO", "") in DISTROS
    named = environment.get(PROFILE, "")
    profile = Path(named) if named else share_folder() / "config/fastdds.xml"
    local = environment.get(RANGE) == "LOCALHOST" or environment.get(ONLY_LOCALHOST) == "1"
    ours = profile.with_name("fastdds_control_localhost.xml" if local else "fastdds_control.xml")
    of_project = profile.name == "fastdds.xml" and ours.is_file()
    if not (known and of_project) or (local and environment.get(PEERS)):
        return None
    if not local:
        return {PROFILE: str(ours)}
    # For LOCALHOST the middleware would add shared memory by itself.
    return {PROFILE: str(ours), RANGE: "SYSTEM_DEFAULT", ONLY_LOCALHOST: ""}

"""What a chunk player says in an episode, as it says it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from aloha_interfaces.msg import PlayerState
from rclpy.serialization import serialize_message

from episodes.altered_episodes import altered
from episodes.sample_episodes import START_NS, stamped

TOPIC, TYPE = "/chunk_player/state", "aloha_interfaces/msg/PlayerState"
TICK_NS = 20_000_000
STAGES = {
    # commander: a stage in which it commands
    PlayerState.NOBODY: PlayerState.MATCHING,
    PlayerState.POLICY: PlayerState.PLAYING,
    PlayerState.OPERATOR: PlayerState.HUMAN,
}


def player_bytes(
    stamp_ns: int, commander: int, state: int | None = None, reason: str = ""
) -> bytes:
    message = PlayerState(commander=commander, state=STAGES[commander], reason=reason)
    if state is not None:
        message.state = state
    return bytes(serialize_message(stamped(message, stamp_ns)))


def ticks(parts: Iterable[tuple[int, int]], first_ns: int = START_NS) -> list[tuple[int, bytes]]:
    """Stamps and messages of every tick; `parts` are (commander, number of ticks)."""
    commanders = [commander for commander, count in parts for _ in range(count)]
    stamps = [first_ns + tick * TICK_NS for tick in range(len(commanders))]
    return [(s, player_bytes(s, c)) for s, c in zip(stamps, commanders, strict=True)]


def with_player(source: Path, directory: Path, messages: Sequence[tuple[int, bytes]]) -> Path:
    """`source` once more, with what a player said (stamp, message)."""
    return altered(source, directory, types={TOPIC: TYPE}, extra={TOPIC: list(messages)})

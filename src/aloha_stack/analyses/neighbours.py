"""Which demonstrated steps a VINN acts like, in a picture: what is seen, beside its neighbours.

Writes for each episode NAME_neighbours.png and a row a step of neighbours.json: every neighbour's
episode, step, weight and distance (of what is seen, and of joints). A neighbour's pictures come
from --data; one whose episode is not there is named without a picture. Exit status 0, or 1 for a
checkpoint or episodes that cannot be used.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.analyses.neighbour_pictures import Column, Line, draw
from aloha_stack.arguments import count
from aloha_stack.episodes.alignment import AlignmentSettings
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.quality import DAMAGED, VERDICTS
from aloha_stack.policies.checkpoint import load
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.vinn import VinnPolicy, neighbour_weights
from aloha_stack.policies.vinn_index import Index, digest
from aloha_stack.policies.vinn_search import Neighbours, find, search_of
from aloha_stack.progress import Progress
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.store import EpisodeStore, open_episodes
from aloha_stack.training.vinn_memory import embedded

EXAMPLES = """examples:
  ./aloha analyse neighbours models/cube_vinn --data episodes/cube --out out/neighbours
  ./aloha analyse neighbours models/cube_vinn --data episodes/cube --out out/others --leave-out
"""
TROUBLE = 1
EPISODES, STEPS = 2, 4


@dataclass(frozen=True)
class Shown:
    """A policy, its demonstrations, and where the pictures of these are."""

    policy: VinnPolicy
    store: EpisodeStore
    places: dict[str, int]  # digest of an episode -> its number in the store


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    options = _parser().parse_args(list(argv))
    progress = Progress(sys.stderr)
    files, rows = [], []
    try:
        shown = _shown(options.checkpoint, options.data, progress)
        options.out.mkdir(parents=True, exist_ok=True)
        for number in range(min(options.episodes, len(shown.store.episodes))):
            name = shown.store.episodes[number].path.name
            progress.show(f"looking at {name}", number / options.episodes)
            lines = _lines(shown, number, options.steps, options.leave_out)
            file = options.out / f"{number:02d}_{name}_neighbours.png"
            files.append(draw(lines, f"{name}: what it acts like", file))
            rows += [_row(name, line) for line in lines]
        numbers = options.out / "neighbours.json"
        numbers.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    except (PolicyError, EpisodeError, OSError) as error:
        progress.clear()
        print(f"aloha analyse neighbours: {error}", file=sys.stderr)
        return TROUBLE
    progress.clear()
    for row in rows:
        first = row["neighbours"][0]
        print(
            f"{row['episode']} {row['time_s']:6.2f} s: distance {first['distance']:.3f} to "
            f"{first['episode']} {first['time_s']:.2f} s, weight {first['weight']:.2f}"
        )
    print(*files, numbers, sep="\n")
    return 0


def _shown(checkpoint: Path, data: Sequence[Path], progress: Progress) -> Shown:
    policy = load(checkpoint)
    if not isinstance(policy, VinnPolicy):
        raise PolicyError(f"{checkpoint} is of policy {policy.spec.policy}; expected a vinn")
    spec = policy.spec
    settings = ReadSettings(
        cameras=spec.cameras,
        image_size=spec.image_size,
        crop=policy.config.crop,
        seen=policy.config.seen,
        alignment=AlignmentSettings(step_hz=spec.rate_hz),
        allowed=tuple(verdict for verdict in VERDICTS if verdict != DAMAGED),
    )
    store = open_episodes(data, settings, progress.show)
    places = {digest(one.state, one.action): n for n, one in enumerate(store.episodes)}
    return Shown(policy, store, places)


def _lines(shown: Shown, number: int, steps: int, leave_out: bool) -> list[Line]:
    """One for each of some steps of an episode of the store."""
    policy, store = shown.policy, shown.store
    episode = store.episodes[number]
    chosen = np.unique(np.linspace(0, len(episode) - 1, steps + 1)[:-1].astype(int))
    index = policy.index
    if leave_out:
        index = without(index, digest(episode.state, episode.action))
    search, config = search_of(index.embeddings), policy.config
    vectors = embedded(policy.embedding, store, store.first[number] + chosen)
    made = []
    for step, vector in zip(chosen, vectors, strict=True):
        found = find(
            index,
            search,
            vector,
            episode.state[step],
            config.joint_weight,
            min(config.neighbours, len(index.sources) if config.apart else len(index)),
            config.apart,
        )
        weights = neighbour_weights(found.total, config.temperature)
        last = np.minimum(np.arange(step, step + config.chunk), episode.segment_end[step] - 1)
        made.append(
            Line(
                time_s=(episode.time_ns[step] - episode.time_ns[0]) * 1e-9,
                picture=_picture(store, number, int(step)),
                columns=_columns(shown, index, found, weights),
                done=episode.action[last],
                dt_s=policy.spec.dt_s,
                names=policy.spec.action_names,
            )
        )
    return made


def _columns(
    shown: Shown, index: Index, found: Neighbours, weights: np.ndarray
) -> tuple[Column, ...]:
    numbers = index.episode_of(found.rows)
    made = []
    for place, row in enumerate(found.rows):
        source, step = index.sources[numbers[place]], int(row - index.first[numbers[place]])
        where = shown.places.get(source.digest)
        time_s, picture = step * shown.policy.spec.dt_s, None
        if where is not None:
            times = shown.store.episodes[where].time_ns
            time_s = float(times[step] - times[0]) * 1e-9
            picture = _picture(shown.store, where, step)
        made.append(
            Column(
                episode=source.name,
                time_s=time_s,
                weight=float(weights[place]),
                distance=float(found.total[place]),
                visual=float(found.visual[place]),
                joints=float(found.joints[place]),
                picture=picture,
                told=index.chunk(int(row), shown.policy.config.chunk),
            )
        )
    return tuple(made)


def without(index: Index, left_out: str) -> Index:
    """The index without the episode of this digest, if it has that one. Raises PolicyError if there
    is no other."""
    numbers = [n for n, source in enumerate(index.sources) if source.digest == left_out]
    if not numbers:
        return index
    first, last = index.first[numbers[0]], index.first[numbers[0] + 1]
    kept = np.r_[0:first, last : len(index)]
    segments = index.segments[kept]
    return replace(
        index,
        embeddings=index.embeddings[kept],
        joints=index.joints[kept],
        actions=index.actions[kept],
        segments=np.where(kept >= last, segments - (last - first), segments),
        sources=tuple(one for one in index.sources if one.digest != left_out),
    )


def _picture(store: EpisodeStore, number: int, step: int) -> np.ndarray | None:
    """All cameras side by side, (H, W, 3)."""
    if not store.cameras:
        return None
    pictures = np.empty(store.picture_shape, np.uint8)
    store.frames.read(number, step, pictures)
    return np.concatenate(list(pictures), axis=1)


def _row(episode: str, line: Line) -> dict[str, Any]:
    """For JSON."""
    told = ("episode", "time_s", "weight", "distance", "visual", "joints")
    return {
        "episode": episode,
        "time_s": float(line.time_s),
        "neighbours": [{name: getattr(one, name) for name in told} for one in line.columns],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./aloha analyse neighbours",
        description=(__doc__ or "").strip().splitlines()[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="a VINN's folder")
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        required=True,
        metavar="DIR",
        help="episodes to ask about, or folders of them; neighbours' pictures come from here, too",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for what it finds")
    parser.add_argument(
        "--episodes", type=count, default=EPISODES, metavar="N", help="the first N (%(default)s)"
    )
    parser.add_argument(
        "--steps", type=count, default=STEPS, metavar="N", help="of each episode (%(default)s)"
    )
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="the episode that is asked about is none of its own demonstrations",
    )
    return parser

"""Episodes that learning draws from: alike in robot, cameras and rates, addressed by step."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from aloha_stack.episodes.commanders import in_words
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.given import check_once, named_episodes
from aloha_stack.episodes.quality import DAMAGED
from aloha_stack.episodes.summary import summarise
from aloha_stack.policies.sight import Sight
from aloha_stack.training.episode import TrainingEpisode, read_episode
from aloha_stack.training.frames import Frames, RecordedFrames
from aloha_stack.training.settings import ReadSettings

Progress = Callable[[str, float], None]
"""Told what is being done, and how much of it is (0 … 1)."""

Paths = Path | str | Iterable[Path | str]
"""Episodes, or folders that hold some."""

SAME_RATE = 0.2
"""How far a stream's rate may be from the first episode's, as a part of it."""
NAMED = 10
"""Of the episodes that are refused, so many are named with their reasons."""


class EpisodeStore:
    """N steps of all episodes, one after the other. Can be sent to other processes."""

    def __init__(
        self,
        episodes: Sequence[TrainingEpisode],
        settings: ReadSettings,
        frames: Frames | None = None,
    ) -> None:
        """`frames` says where pictures come from, if not from the episodes. Raises EpisodeError if
        there is no episode, or one is unlike the first."""
        if not episodes:
            raise EpisodeError("there is no episode to learn from; record some, or give others")
        check_alike(episodes)
        self.episodes = tuple(episodes)
        self.settings = settings
        self.image_size = image_size(episodes[0], settings)
        self.frames = frames or self.recorded(self.episodes)
        self.first = np.concatenate([[0], np.cumsum([len(one) for one in episodes])])

    def __len__(self) -> int:
        return int(self.first[-1])

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras, in the order of the pictures."""
        return tuple(index.camera for index in self.episodes[0].cameras)

    @property
    def picture_shape(self) -> tuple[int, int, int, int]:
        """Of one step's pictures: cameras, height, width, 3."""
        sight = self._sight()
        return (len(self.cameras), *(self.image_size if sight is None else sight.size), 3)

    def recorded(self, episodes: Sequence[TrainingEpisode]) -> RecordedFrames:
        """The pictures of such episodes, from their files."""
        return RecordedFrames(episodes, self.image_size, self._sight())

    def _sight(self) -> Sight | None:
        try:
            return self.settings.sight(len(self.cameras), self.image_size)
        except ValueError as error:
            raise EpisodeError(str(error)) from error

    def locate(self, index: int) -> tuple[int, int]:
        """Number of the episode, and step in it, of a step of all."""
        if not 0 <= index < len(self):
            raise IndexError(f"step {index} of {len(self)}")
        episode = int(np.searchsorted(self.first, index, side="right")) - 1
        return episode, index - int(self.first[episode])


def open_episodes(
    paths: Paths, settings: ReadSettings, progress: Progress | None = None
) -> EpisodeStore:
    """The episodes at `paths` (episodes, or folders of them), pictures decoded as they are asked
    for; without those in which none of the wanted commanders has a step. Raises EpisodeError, which
    names every episode that cannot be used, and why."""
    found = find_episodes(paths)
    episodes, refused = [], []
    for number, path in enumerate(found):
        if progress is not None:
            progress(f"reading {path.name}", number / len(found))
        try:
            episodes.append(read_episode(path, settings))
        except EpisodeError as error:
            refused.append(str(error))
    if refused:
        shown = "\n  ".join(refused[:NAMED])
        more = f"\n  and {len(refused) - NAMED} more" if len(refused) > NAMED else ""
        raise EpisodeError(
            f"{len(refused)} of {len(found)} episodes cannot be learnt from; leave them out, or "
            f"allow their verdict:\n  {shown}{more}"
        )
    used = [one for one in episodes if len(one)]
    if not used:
        raise EpisodeError(
            f"no step of these episodes was commanded by {' or '.join(settings.commanders)} "
            f"(steps by commander: {in_words(commanded(episodes))}); choose other commanders"
        )
    return EpisodeStore(used, settings)


def commanded(episodes: Iterable[TrainingEpisode]) -> dict[str, int]:
    """Recorded steps of all `episodes` by commander, those that are left out too."""
    total: Counter[str] = Counter()
    for one in episodes:
        total.update(one.commanded)
    return dict(total)


def find_episodes(paths: Paths) -> list[Path]:
    """The episodes that are meant by `paths`: episodes themselves, or folders that hold some."""
    found: list[Path] = []
    for path in map(Path, [paths] if isinstance(paths, Path | str) else paths):
        inside = named_episodes(path)
        if not inside:
            raise EpisodeError(f"{path} is no episode and holds none (episode_000000, …)")
        found += inside
    check_once(found)
    return found


def split_episodes(
    paths: Paths,
    validation: float = 0.2,
    seed: int = 0,
    allowed: Collection[str] | None = None,
) -> tuple[list[Path], list[Path]]:
    """Episodes to learn from and episodes to validate with: a share of them, drawn with `seed`.

    Only those with an `allowed` verdict of the quality gate are drawn from (None: all are), so that
    neither side is emptied by the others, which are on none. The same episodes give the same split,
    in whatever order they are given, and whatever else lies beside them. At least one episode is on
    each side, unless `validation` is 0. Raises EpisodeError where there are too few.
    """
    if not 0.0 <= validation < 1.0:
        raise ValueError(f"validation {validation} is outside 0 … 1")
    found = sorted(find_episodes(paths), key=os.fspath)
    if allowed is not None:
        found = [path for path in found if _verdict(path) in allowed]
    if validation == 0.0:
        return found, []
    if len(found) < 2:
        many = "1 episode" if found else "0 episodes"
        if allowed is not None:
            many += f" ({' or '.join(allowed)})"
        raise EpisodeError(f"{many} cannot be split; two are needed at least")
    count = min(max(round(validation * len(found)), 1), len(found) - 1)
    chosen = set(np.random.default_rng(seed).permutation(len(found))[:count].tolist())
    return (
        [path for number, path in enumerate(found) if number not in chosen],
        [path for number, path in enumerate(found) if number in chosen],
    )


def _verdict(path: Path) -> str:
    try:
        return summarise(path).verdict
    except EpisodeError:
        return DAMAGED


def image_size(episode: TrainingEpisode, settings: ReadSettings) -> tuple[int, int]:
    """Height and width of the pictures that are read. Raises EpisodeError where recorded ones are
    smaller, or of several sizes without one being asked for."""
    sizes = {index.camera: (index.height, index.width) for index in episode.cameras}
    if settings.image_size is None:
        if len(set(sizes.values())) > 1:
            raise EpisodeError(
                f"{episode.path}: its cameras differ in size ({_sizes(sizes)}); ask for an "
                "image_size"
            )
        return next(iter(sizes.values()), (0, 0))
    height, width = settings.image_size
    small = {name: size for name, size in sizes.items() if size[0] < height or size[1] < width}
    if small:
        raise EpisodeError(
            f"{episode.path}: pictures of {_sizes(small)} are smaller than the image_size "
            f"{height}×{width}; ask for a smaller one"
        )
    return height, width


def check_alike(episodes: Sequence[TrainingEpisode]) -> None:
    """Raises EpisodeError, which names every episode that is unlike the first, and in what."""
    first = episodes[0]
    unlike = [f"{one.path}: {what}" for one in episodes[1:] for what in _differences(first, one)]
    if unlike:
        shown = "\n  ".join(unlike[:NAMED])
        raise EpisodeError(
            f"episodes differ from the first, {first.path}; learn from those that are alike:\n"
            f"  {shown}"
        )


def _differences(first: TrainingEpisode, other: TrainingEpisode) -> Iterable[str]:
    if other.robot != first.robot:
        yield f"its robot is {other.robot} instead of {first.robot}"
    sizes, theirs = (
        {index.camera: (index.height, index.width) for index in one.cameras}
        for one in (other, first)
    )
    if sizes != theirs:
        yield f"its cameras are {_sizes(sizes)} instead of {_sizes(theirs)}"
    for stream, rate in first.rates_hz.items():
        found = other.rates_hz.get(stream, rate)
        if abs(found - rate) > SAME_RATE * rate:
            yield f"{stream} came at {found:.1f} Hz instead of {rate:.1f} Hz"


def _sizes(sizes: dict[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} {h}×{w}" for name, (h, w) in sizes.items()) or "none"

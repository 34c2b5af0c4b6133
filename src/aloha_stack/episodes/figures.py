"""What the quality gate looks at, measured on an episode."""

from collections.abc import Collection, Iterator

import numpy as np

from aloha_stack.episodes.alignment import AlignedEpisode
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.mcap_output import being_written
from aloha_stack.episodes.metadata import RECORDING, noted_silences, silences
from aloha_stack.episodes.quality import CommandFigures, Skew, StreamFigures
from aloha_stack.episodes.reader import JOINT_STATE, Episode
from aloha_stack.episodes.said_numbers import ARM_STATUS
from aloha_stack.episodes.stream_quality import Evenness, evenness
from aloha_stack.episodes.thresholds import Thresholds
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import FOLLOWERS

REPAIR = "./aloha episodes repair closes it"


def missing_things(episode: Episode) -> Iterator[str]:
    """What is not there at all, in words. Raises EpisodeError for notes that cannot be read."""
    info, contents = episode.info, episode.contents()
    if info.outcome == RECORDING:
        if any(being_written(file.path) for file in episode.files):
            yield "it is being recorded right now"
        else:
            yield f"the recorder ended before the episode did ({REPAIR})"
    elif not contents.closed:
        yield f"the file breaks off before its end ({REPAIR})"
    if info.outcome == "interrupted":
        yield "the recording was interrupted"
    for topic in _needed(episode):
        if not len(contents.stamps_ns.get(topic, ())):
            yield f"nothing was received on {topic}"
    try:
        yield from silences(noted_silences(info))
    except (ValueError, AttributeError, TypeError) as error:
        raise EpisodeError(
            f"{episode.path / 'metadata.yaml'}: the note about silent streams cannot be read: "
            f"{error}"
        ) from error


def streams_of(
    episode: Episode, thresholds: Thresholds, robot: Robot | None
) -> tuple[StreamFigures, ...]:
    """Every topic, in the order of the metadata. Cameras should keep to the rate of `robot`'s, or
    where it is not known to that of the thresholds; imported episodes to their steps."""
    contents, needed = episode.contents(), _needed(episode)
    span = span_ns(episode)
    cameras = {topic: name for name, topic in episode.camera_topics.items()}
    steps_hz = episode.steps_hz
    found = []
    for topic in dict.fromkeys((*episode.topics, *contents.types)):
        stamps = contents.stamps_ns.get(topic, np.zeros(0, np.int64))
        camera = robot.cameras.get(cameras.get(topic, "")) if robot is not None else None
        if steps_hz is not None:
            nominal_hz = steps_hz
        elif topic in cameras:
            nominal_hz = camera.rate_hz if camera is not None else thresholds.camera_hz
        else:
            nominal_hz = thresholds.joint_hz
        if topic in needed:
            even = evenness(stamps, nominal_hz, span, episode.pauses)
        else:  # what comes when it has something to say: only the mean rate means anything
            rate = evenness(stamps, None, span, episode.pauses).rate_hz
            even = Evenness(rate, None, None, None, None, 0)
        lost = episode.info.lost.get(topic, 0)
        # An import has no times of arrival: it writes its stamps for them.
        delay = contents.delay_ns.get(topic) if steps_hz is None else None
        delay_ms = float(np.median(delay)) * 1e-6 if delay is not None else None
        found.append(StreamFigures(topic, len(stamps), lost, topic in cameras, even, delay_ms))
    return tuple(found)


def span_ns(episode: Episode) -> tuple[int, int]:
    """From the first to the last stamp of joint states, commands and pictures; 0, 0 without any."""
    stamps = episode.contents().stamps_ns
    every = [stamps[topic] for topic in _needed(episode) if len(stamps.get(topic, ()))]
    return (min(int(s.min()) for s in every), max(int(s.max()) for s in every)) if every else (0, 0)


def skew_of(aligned: AlignedEpisode) -> Skew | None:
    """Over all steps and all pairs of a camera and a follower; None without cameras."""
    states = [aligned.joint_age_ns[f"/{arm}/joint_states"] for arm in FOLLOWERS]
    gaps = [np.abs(c.skew_ns + age) for c in aligned.cameras.values() for age in states]
    if not gaps:
        return None
    ms = np.concatenate(gaps) * 1e-6
    return Skew(float(np.median(ms)), float(np.percentile(ms, 99)), float(ms.max()))


def commands_of(episode: Episode) -> Iterator[CommandFigures]:
    """How far the counters of each follower's bridge went on, from the first to the last status.

    A counter that is smaller than before belongs to a bridge that was started anew, at 0.
    """
    contents = episode.contents()
    for arm in FOLLOWERS:
        topic = f"/{arm}/status"
        said = contents.said.get(topic, {})
        if contents.types.get(topic) != ARM_STATUS or not len(contents.stamps_ns[topic]):
            continue
        counts = []
        for name in ("clamped_commands", "rejected_commands"):
            read = said.get(name, np.zeros(0, np.int64))
            steps = np.diff(read)
            counts.append(int(np.where(steps < 0, read[1:], steps).sum()))
        yield CommandFigures(arm, *counts)


def not_finite(episode: Episode) -> dict[str, int]:
    """Topic -> how many of its messages hold a position that is no number."""
    found = {}
    for topic, stream in episode.contents().joints.items():
        finite = np.isfinite(stream.position)
        if not finite.all():
            found[topic] = int((~finite).any(axis=1).sum())
    return found


def span_s(streams: Collection[np.ndarray]) -> float:
    """From the first to the last stamp of all."""
    heard = [stamps for stamps in streams if len(stamps)]
    if not heard:
        return 0.0
    first, last = min(int(s.min()) for s in heard), max(int(s.max()) for s in heard)
    return (last - first) * 1e-9


def paused_s(episode: Episode) -> float:
    """Time in pauses that ended: what came after them counts."""
    return sum(end - begin for begin, end in episode.pauses if end is not None) * 1e-9


def _needed(episode: Episode) -> list[str]:
    """Joint states, commands and pictures: what the steps are made of."""
    cameras = episode.camera_topics.values()
    joints = [topic for topic, kind in episode.types.items() if kind == JOINT_STATE]
    return list(dict.fromkeys((*joints, *cameras)))

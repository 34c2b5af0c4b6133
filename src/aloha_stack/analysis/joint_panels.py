"""The joints of an episode as lines in SVG: small, sharp in print, in the colours of its page."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from aloha_stack.analysis.commander_band import COLOURS, Stretch, stretches
from aloha_stack.analysis.html_parts import text
from aloha_stack.analysis.plots import STYLES, drawn_streams, line_of, span_of
from aloha_stack.episodes.commanders import COMMANDERS
from aloha_stack.episodes.reader import Episode, JointStream
from aloha_stack.robot.joints import JOINTS, SIDES

# In the picture's own units, of which it is WIDTH wide.
WIDTH, LEFT, TOP, GAP = 2000, 190, 40, 60
PANEL = ((WIDTH - LEFT - GAP) // 2, 150)
STEP = 178
"""From panel to panel, down."""
NEAR = 1.5
"""How far a drawn line may be from the samples: less than can be seen."""
POINTS = 300
"""Most of one line; a noisier one is drawn more coarsely."""
LEAST_RAD = 0.1
"""A joint that hardly moves must not look as if it did."""

STYLE = """
svg { width: 100%; height: auto; display: block; }
svg text { font: 24px system-ui, sans-serif; fill: var(--soft); }
svg path { fill: none; stroke-width: 3; stroke-linejoin: round; }
svg .leader { stroke: var(--leader); stroke-width: 5; } svg .follower { stroke: var(--follower); }
svg .command { stroke: var(--command); } svg .frame { stroke: var(--rule); stroke-width: 2; }
svg .pause { fill: var(--shade); }
"""


def joint_panels(episode: Episode) -> str:
    """7 joints × 2 sides over time, rad over s; pauses grey, of a rollout who commanded.

    Raises EpisodeError where there is no joint stream.
    """
    streams = drawn_streams(episode)
    start_ns, end_ns = span_of(streams)
    seconds = max((end_ns - start_ns) * 1e-9, 0.1)
    band = stretches(episode, start_ns, end_ns)
    height = TOP + len(JOINTS) * STEP + 40
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="joints over time">']
    parts += _legend(streams, band)
    pauses = [(begin, end_ns if end is None else end) for begin, end in episode.pauses]
    for row, joint in enumerate(JOINTS):
        lines = {side: _lines(streams, side, joint, start_ns) for side in SIDES}
        low, high = _range([values for ones in lines.values() for _, _, values in ones])
        y = TOP + row * STEP
        parts.append(f'<text x="0" y="{y + 82}">{text(joint.replace("_", " "))}</text>')
        digits = 1 if high - low >= 1 else 2
        for value, at in ((high, 22), (low, PANEL[1])):
            parts.append(
                f'<text x="{LEFT - 12}" y="{y + at}" text-anchor="end">{value:.{digits}f}</text>'
            )
        for column, side in enumerate(SIDES):
            x = LEFT + column * (PANEL[0] + GAP)
            across = PANEL[0] / seconds
            parts.append(f'<g transform="translate({x} {y})">')
            for begin, end in pauses:
                parts.append(_box('class="pause"', begin, end, start_ns, across, 0, PANEL[1]))
            for part in band:
                who, (begin, end) = part.commander, (part.begin_ns, part.end_ns)
                look = f'class="{COMMANDERS[who]}" fill="{COLOURS[who]}"'
                parts.append(_box(look, begin, end, start_ns, across, -9, 9))
            parts.append(f'<path class="frame" d="M0 0V{PANEL[1]}H{PANEL[0]}"/>')
            for label, times, values in lines[side]:
                down = PANEL[1] * (1 - (values - low) / (high - low))
                parts.append(f'<path class="{label}" d="{path_data(times * across, down)}"/>')
            parts.append("</g>")
    parts += _times(seconds, height)
    return "\n".join([*parts, "</svg>"])


def _lines(
    streams: Mapping[str, JointStream], side: str, joint: str, start_ns: int
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Label, s and rad of each stream that has the joint, the lowest first."""
    lowest_first = sorted(STYLES.items(), key=lambda style: style[1][-1])
    found = ((label, streams.get(topic.format(side=side))) for label, (topic, *_) in lowest_first)
    return [
        (label, *line_of(stream, joint, start_ns))
        for label, stream in found
        if stream is not None and joint in stream.names
    ]


def _range(lines: Sequence[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([np.zeros(0), *lines])
    finite = values[np.isfinite(values)]
    if not len(finite):
        return -LEAST_RAD / 2, LEAST_RAD / 2
    low, high = float(finite.min()), float(finite.max())
    spare = max(LEAST_RAD - (high - low), 0.1 * (high - low)) / 2
    return low - spare, high + spare


def path_data(x: np.ndarray, y: np.ndarray) -> str:
    """What is broken by nan, as moves and lines to whole units."""
    words = []
    held = np.isfinite(x) & np.isfinite(y)
    for run in np.split(np.arange(len(x)), np.flatnonzero(np.diff(held)) + 1):
        if not len(run) or not held[run[0]]:
            continue
        kept = run[kept_points(x[run], y[run])]
        points = np.stack([x[kept], y[kept]], axis=1).round().astype(int)
        steps = np.diff(points, axis=0).tolist()
        words.append("M{} {}".format(*points[0]))
        words += ["l" + " ".join(f"{across} {down}" for across, down in steps)] if steps else []
    return "".join(words)


def kept_points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Indices of the points whose line is near all others: Douglas and Peucker's, with the distance
    taken down, as the line is one over time."""
    near = NEAR
    while True:
        kept, open_ends = {0, len(x) - 1}, [(0, len(x) - 1)]
        while open_ends and len(kept) <= POINTS:
            first, last = open_ends.pop()
            if last - first < 2:
                continue
            inner = slice(first + 1, last)
            share = (x[inner] - x[first]) / max(x[last] - x[first], 1e-9)
            off = np.abs(y[inner] - y[first] - share * (y[last] - y[first]))
            worst = int(off.argmax())
            if off[worst] > near:
                middle = first + 1 + worst
                kept.add(middle)
                open_ends += [(first, middle), (middle, last)]
        if len(kept) <= POINTS:
            return np.array(sorted(kept))
        near *= 2


def _box(
    look: str, begin_ns: int, end_ns: int, start_ns: int, across: float, y: int, height: int
) -> str:
    x, end = ((at - start_ns) * 1e-9 * across for at in (begin_ns, end_ns))
    x, end = max(x, 0.0), min(end, PANEL[0])
    width = max(end - x, 0.0)
    return f'<rect {look} x="{x:.0f}" y="{y}" width="{width:.0f}" height="{height}"/>'


def _legend(streams: Mapping[str, JointStream], band: Sequence[Stretch]) -> Iterator[str]:
    x = LEFT + PANEL[0] + GAP
    yield f'<text x="{LEFT}" y="18">left arms (rad)</text><text x="{x}" y="18">right arms</text>'
    x = LEFT + 330
    for label, (template, *_) in STYLES.items():
        if any(template.format(side=side) in streams for side in SIDES):
            yield f'<path class="{label}" d="M{x} 11h40"/><text x="{x + 50}" y="18">{label}</text>'
            x += 180
    x = LEFT + PANEL[0] + GAP + 200
    for code in COLOURS:
        if any(part.commander == code for part in band):
            yield f'<rect x="{x}" y="6" width="36" height="12" fill="{COLOURS[code]}"/>'
            yield f'<text x="{x + 46}" y="18">{COMMANDERS[code]}</text>'
            x += 170


def _times(seconds: float, height: int) -> Iterator[str]:
    """A few round times below both columns."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
    step = next((step for step in steps if seconds / step <= 6), seconds)
    for column in range(len(SIDES)):
        x = LEFT + column * (PANEL[0] + GAP)
        for number in range(int(seconds / step + 1e-9) + 1):
            at = x + number * step / seconds * PANEL[0]
            word = f"{number * step:g}" + (" s" if number == 0 else "")
            yield f'<text x="{at:.0f}" y="{height - 12}" text-anchor="middle">{word}</text>'

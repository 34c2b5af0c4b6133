"""The table at the end of a demonstration: what was recorded, how well, and whether it worked."""

from collections.abc import Sequence
from pathlib import Path

from aloha_stack.analysis.success import succeeded
from aloha_stack.episodes.summary import EpisodeSummary, StreamSummary
from aloha_stack.episodes.tables import Column, table

__all__ = ["Column", "camera_table", "episode_table", "table"]


def episode_table(summaries: Sequence[EpisodeSummary]) -> str:
    """One row per episode: steps, rate of the executed commands, skew, speed and success."""
    columns = (
        Column("episode"),
        Column("task"),
        Column("seed", right=True),
        Column("steps", right=True),
        Column("commands Hz", right=True),
        Column("lost", right=True),
        Column("skew median / max ms", right=True),
        Column("× real time", right=True),
        Column("reward", right=True),
        Column("success"),
    )
    return table(columns, [_episode_row(summary) for summary in summaries])


def camera_table(summaries: Sequence[EpisodeSummary]) -> str:
    """One row per camera of each episode: frames, rate and losses."""
    columns = (
        Column("episode"),
        Column("camera"),
        Column("frames", right=True),
        Column("Hz", right=True),
        Column("lost", right=True),
    )
    rows = [
        [
            Path(summary.path).name,
            camera.topic.strip("/").split("/")[0],
            str(camera.messages),
            _number(camera.rate_hz, 1),
            str(camera.lost),
        ]
        for summary in summaries
        for camera in summary.cameras
    ]
    return table(columns, rows)


def _episode_row(summary: EpisodeSummary) -> list[str]:
    skew = summary.skew
    won = succeeded(summary)
    return [
        Path(summary.path).name,
        summary.task or "-",
        str(summary.seed) if summary.seed >= 0 else "-",
        str(summary.steps),
        _number(_command_rate(summary.streams), 1),
        str(summary.lost),
        f"{skew.median_ms:.1f} / {skew.max_ms:.1f}" if skew else "-",
        _number(summary.real_time_factor, 2),
        f"{summary.best_reward} of {summary.max_reward}" if won is not None else "-",
        {True: "yes", False: "no", None: "-"}[won],
    ]


def _command_rate(streams: Sequence[StreamSummary]) -> float | None:
    rates = [s.rate_hz for s in streams if s.topic.endswith("/command_executed") and s.rate_hz]
    return min(rates, default=None)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"

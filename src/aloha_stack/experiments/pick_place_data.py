"""Demonstrations of pick and place for experiments: rendered once, kept, and found again."""

from dataclasses import dataclass
from pathlib import Path

from aloha_stack.demonstrations import generating
from aloha_stack.experiments.errors import ExperimentError

CAMERA, SIZE = "cam_low", "320x240"
FOR_TESTS = 100
"""Seeds below this are of demonstrations to measure with, those from it on of ones to learn from;
from 1000 on (demonstrations/settings.py) they are of trials."""


@dataclass(frozen=True)
class Demonstrations:
    """`episodes` of worlds of one `variation`, in the folder `name`."""

    name: str
    variation: str
    episodes: int
    learnt_from: bool = False
    evenly: bool = False

    def made(self, work: Path, jobs: int) -> Path:
        """Their folder; what is not there yet is made. Raises ExperimentError."""
        folder = work / "demonstrations" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        words = ["--task", "pick_place", "--variation", self.variation, "--cameras", CAMERA]
        words += ["--size", SIZE, "--episodes", str(self.episodes), "--jobs", str(jobs)]
        words += ["--seed", str(FOR_TESTS if self.learnt_from else 0), "--directory", str(folder)]
        words += ["--evenly"] if self.evenly else []
        if generating.main(words):
            raise ExperimentError(f"the demonstrations in {folder} are not complete; see above")
        return folder

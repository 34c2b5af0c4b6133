"""`./aloha episodes COMMAND`: a table of names, and the modules that carry them out.

Each module has `main(argv) -> int`, which parses its own arguments; it is imported when it is run.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

USAGE_ERROR = 2


@dataclass(frozen=True)
class Subcommand:
    """What the overview says of a command, and the module behind it."""

    name: str
    does: str
    example: str
    module: str


SUBCOMMANDS = (
    Subcommand(
        "generate",
        "makes demonstrations by the twin's scripted operator, fast and without ROS",
        "./aloha episodes generate --task insertion --episodes 50 --directory out --size 320x240",
        "aloha_stack.demonstrations.generating",
    ),
    Subcommand(
        "list",
        "a table of the episodes in a folder, with the quality gate's verdict on each",
        "./aloha episodes list out",
        "aloha_stack.episodes.listing",
    ),
    Subcommand(
        "inspect",
        "draws one episode: joints, rates, agreement in time and a strip of all cameras",
        "./aloha episodes inspect out/episode_000000",
        "aloha_stack.analysis.inspecting",
    ),
    Subcommand(
        "repair",
        "closes episodes that a kill -9, a full disk or a loss of power left open",
        "./aloha episodes repair out",
        "aloha_stack.episodes.repairing",
    ),
    Subcommand(
        "export",
        "writes episodes as a LeRobotDataset v3.0, or as ALOHA HDF5 files",
        "./aloha episodes export out --format lerobot --out cube",
        "aloha_stack.episodes.exporting",
    ),
    Subcommand(
        "import",
        "makes episodes of ALOHA HDF5 files",
        "./aloha episodes import data/episode_0.hdf5 --out out",
        "aloha_stack.episodes.importing",
    ),
    Subcommand(
        "convert",
        "makes a LeRobotDataset v3.0 of ALOHA HDF5 files",
        "./aloha episodes convert data --task 'pick the cube' --out cube",
        "aloha_stack.episodes.converting",
    ),
)


def overview() -> str:
    """The help text: every command with an example."""
    lines = ["usage: ./aloha episodes COMMAND [ARGUMENTS]", ""]
    for command in SUBCOMMANDS:
        lines += [f"  {command.name:<8} {command.does}", f"  {'':<8}   {command.example}"]
    return "\n".join([*lines, "", "./aloha episodes COMMAND --help tells a command's arguments."])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that `argv` names; returns its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if words else USAGE_ERROR
    command = next((c for c in SUBCOMMANDS if c.name == words[0]), None)
    if command is None:
        known = ", ".join(c.name for c in SUBCOMMANDS)
        print(
            f"./aloha episodes: there is no command '{words[0]}'; there are: {known}",
            file=sys.stderr,
        )
        return USAGE_ERROR
    return int(importlib.import_module(command.module).main(words[1:]))

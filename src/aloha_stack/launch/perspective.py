"""An rqt perspective without plugins that are not installed: at one that is missing rqt stops
restoring the others, their topics and the windows' places."""

import ast
import json
from collections.abc import Collection
from pathlib import Path


def installed_part(file: Path, missing: Collection[str], folder: Path) -> Path:
    """`file` where none of its plugins' packages is `missing`, else a copy in `folder` without
    those. OSError where that cannot be written."""
    perspective = json.loads(file.read_text(encoding="utf-8"))
    running = perspective["groups"]["pluginmanager"]["keys"]["running-plugins"]
    plugins = ast.literal_eval(running["repr"])
    left = {name: ids for name, ids in plugins.items() if name.partition("/")[0] not in missing}
    if left == plugins:
        return file
    running["repr"] = repr(left)
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / file.name
    copy.write_text(json.dumps(perspective, indent=2), encoding="utf-8")
    return copy

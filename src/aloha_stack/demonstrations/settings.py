"""What is asked for: a task, whose cameras at which size, and how the operator behaves."""

import json
from dataclasses import asdict, dataclass, replace

from aloha_stack.robot.description import Robot, load_robot
from aloha_stack.twin.operator_manner import ASTRAY, Manner
from aloha_stack.twin.tasks import find_task
from aloha_stack.twin.variation import Variation, variation_of

EVALUATION_SEED = 1000
"""Worlds of this seed and above are for evaluation: nothing is ever trained on them."""

GENERATED = "generated"
"""The note of an episode that nobody recorded: what made it, as JSON."""
SIMULATED = "simulated"
"""The note that says that robot and world were simulated."""


@dataclass(frozen=True)
class Request:
    """Demonstrations of `task` as `cameras` of the twin see them; `size` is (width, height),
    `variation` in the words of `twin.variation`."""

    task: str
    cameras: tuple[str, ...]
    size: tuple[int, int]
    manner: Manner = ASTRAY
    variation: str = ""

    def worlds(self) -> Variation:
        """Where objects lie, and how it looks there. Raises VariationError."""
        return variation_of(find_task(self.task), self.variation)

    def robot(self) -> Robot:
        """The twin with these cameras only. Raises RobotConfigError for one that it lacks."""
        robot = load_robot("twin", {"ALOHA_PORTS": "none"})
        width, height = self.size
        cameras = [replace(robot.camera(name), width=width, height=height) for name in self.cameras]
        return replace(robot, cameras={camera.name: camera for camera in cameras})

    def note(self) -> str:
        """What an episode says of how it was made; equal for equal requests."""
        note = {
            "by": "aloha episodes generate",
            "task": self.task,
            "cameras": list(self.cameras),
            "size": list(self.size),
            "operator": asdict(self.manner),
        }
        worlds = self.worlds().text
        return json.dumps(note | {"variation": worlds} if worlds else note)

"""A video of a rollout: the same episode once more, with the camera on."""

from contextlib import closing
from pathlib import Path

from aloha_stack.analysis.mosaic_video import MosaicVideo
from aloha_stack.evaluation.plan import Plan, twin
from aloha_stack.evaluation.rollout import Outcome
from aloha_stack.twin.direct_cameras import DirectCameras
from aloha_stack.twin.world import World

SIZE = (320, 240)
RATE_HZ = 50


def film(path: Path, plan: Plan, seed: int) -> Outcome:
    """Writes an mp4 of what all cameras of the robot see in the episode of `seed`."""
    width, height = SIZE
    with (
        closing(DirectCameras(plan.task, twin(), size=SIZE)) as cameras,
        MosaicVideo(path, cameras.names, height, width, RATE_HZ) as video,
    ):

        def watch(world: World) -> None:
            cameras.dress(world.look)
            for name, image in cameras.images(world.qpos()).items():
                video.show(name, image)
            video.write()

        return plan.attempt(seed, watch)

"""A token a camera that says where things are, as numbers that grow evenly with their place.

Feature maps have a token for each patch: where in the picture a patch lies is only in the waves of
its position, and where within the patch something is only in its features. A network that has seen
a cube at a hundred places learns these by heart. The expected places of maps (spatial softmax: Finn
et al. 2016, arXiv 1509.06113) move with what they follow, between learnt places too.
"""

import torch
from torch import Tensor, nn

from aloha_stack.policies.spatial_softmax import expected_places

TEMPERATURE = 0.1
"""So low that a fresh network's points differ from picture to picture."""
GAIN = 8.0
"""What has to be told apart lies close together, seen from the size of a picture: as large numbers
a token's norm keeps it, and it is learnt sooner."""


class Keypoints(nn.Module):
    """Early maps (N, channels, h, w) to tokens (N, width), by way of `count` points each."""

    def __init__(self, channels: int, count: int, cameras: int, width: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(channels, count, 1, bias=False)
        self.projection = nn.Linear(2 * count, width)
        self.positions = nn.Parameter(torch.randn(cameras, width))  # of the tokens

    def forward(self, early: Tensor) -> Tensor:
        points = GAIN * points_of(self.maps(early))
        return self.projection(points.to(self.projection.weight.dtype))


def points_of(maps: Tensor) -> Tensor:
    """Of maps (N, K, h, w) the expected places (N, 2 K), float32: first all x, then all y, from -1
    at the left and upper edge to 1."""
    return (2 * expected_places(maps.float(), TEMPERATURE) - 1).transpose(1, 2).flatten(1)

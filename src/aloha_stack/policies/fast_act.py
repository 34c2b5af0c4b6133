"""ACT's inference, all that is constant computed once: backends "fast" and "int8" of
policies/act_policy.py.

What differs from `Act.forward` with z = 0 is how it is computed, not what: weights are packed for
the processor, and rounded to bfloat16 where it multiplies that in hardware (sums within a product,
norms and the sums around the layers stay float32); batch norm and the pictures' normalisation are
in the convolutions; positions times weights, the latent's token and the decoder's first
self-attention are constants; of the CVAE nothing is left. It is a copy: what is done to the
original's weights afterwards is not seen here.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aloha_stack.policies.act import Act
from aloha_stack.policies.fast_act_backbones import FastBackbone
from aloha_stack.policies.fast_act_cuda import Replayed
from aloha_stack.policies.fast_act_transformer import (
    FastDecoderLayer,
    FastEncoderLayer,
    LayerNorm,
)
from aloha_stack.policies.fast_bytes import linear, numbers
from aloha_stack.policies.fast_layers import computing_type


class FastAct:
    """A network for pictures of one size. Not for several threads at once."""

    @torch.inference_mode()
    def __init__(
        self, network: Act, height: int, width: int, kind: torch.dtype | None = None
    ) -> None:
        """`kind`: the type of products; None: what the network's device is best at, of floats."""
        config = network.config
        self._device = network.action_head.weight.device
        kind = kind or computing_type(self._device)
        self._kind = numbers(kind)
        self.size = height, width  # of the pictures that it takes
        size = (config.cameras, height, width)
        self._backbone = FastBackbone(network.backbone, network.image_normaliser, size, kind)
        _, rows, columns = self._backbone.size
        patches = config.cameras * rows * columns
        count = 2 + patches + (config.cameras if config.keypoints else 0)
        self._patches = slice(2, 2 + patches)
        self._points = slice(2 + patches, count)
        projection = network.image_projection
        self._image_projection = linear(projection.weight, projection.bias, patches, kind)
        self._keypoints = copy.deepcopy(network.keypoints)
        self._state_projection = _constant(network.state_projection)
        self._state = torch.zeros(config.state_dim, device=self._device)
        self._tokens = torch.empty(count, config.hidden, device=self._device)
        self._tokens[0] = network.latent_projection.bias  # z = 0

        positions = _positions(network, rows, columns)
        self._encoder = [
            FastEncoderLayer(layer, positions, kind)  # type: ignore[arg-type]
            for layer in network.encoder.layers
        ]
        norm = network.encoder.norm
        self._encoder_norm = LayerNorm(norm) if isinstance(norm, nn.LayerNorm) else None
        layers = network.decoder.layers[: 1 if network.decoder.first_only else None]
        queries = network.queries.detach()
        self._decoder = [
            FastDecoderLayer(layer, queries, positions, number == 0, kind)  # type: ignore[arg-type]
            for number, layer in enumerate(layers)
        ]
        self._queries = queries
        self._decoder_norm = LayerNorm(network.decoder.norm)
        self._action_head = _constant(network.action_head)
        on_cuda = self._device.type == "cuda"
        self._act = Replayed(self._compute, self._device) if on_cuda else self._compute

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Tensor], state: Tensor) -> Tensor:
        """Actions (T, A) float32, normalised, for a picture (H, W, 3) uint8 of each camera and a
        state (S,), normalised."""
        for number, picture in enumerate(pictures):
            self._backbone.stem.put(number, picture)
        self._state.copy_(state)
        return self._act()

    def _compute(self) -> Tensor:
        """From what lies in the pictures' and the state's buffer."""
        self._tokens[1] = F.linear(self._state, *self._state_projection)
        self._tokens[self._patches] = self._image_projection(self._backbone())
        if self._keypoints is not None:
            self._tokens[self._points] = self._keypoints(self._backbone.early.float())
        x = self._tokens
        for layer in self._encoder:
            x = layer(x)
        memory = (x if self._encoder_norm is None else self._encoder_norm(x)).to(self._kind)
        y = self._queries
        for decoder_layer in self._decoder:
            y = decoder_layer(y, memory)
        return F.linear(self._decoder_norm(y), *self._action_head)


def _positions(network: Act, rows: int, columns: int) -> Tensor:
    """(N, D) of all tokens."""
    grid = network.image_positions(rows, columns, like=network.queries)
    positions = grid.expand(network.config.cameras, -1, -1)
    if network.camera_embedding is not None:
        positions = positions + network.camera_embedding[:, None]
    points = [] if network.keypoints is None else [network.keypoints.positions]
    return torch.cat((network.token_positions, positions.flatten(0, 1), *points))


def _constant(layer: nn.Linear) -> tuple[Tensor, Tensor]:
    return layer.weight.detach().clone(), layer.bias.detach().clone()

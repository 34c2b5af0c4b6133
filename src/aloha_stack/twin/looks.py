"""How a scene looks: as it was made, or with another table and other lamps.

A policy that has seen one table in one light only is asked what it makes of others. What is changed
is drawn from the world's seed, so that every episode has its own table and lamps, and the same ones
each time. Objects and arms keep their colours.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import mujoco
import numpy as np

BACKGROUND, LIGHT = LOOKS = ("background", "light")
"""What can be changed."""

HUES = (60 / 360, 270 / 360)
"""Of the table: yellow, green, blue; not red, which the cube is."""
SATURATION, VALUE = (0.2, 0.7), (0.25, 0.6)
GAIN = (0.7, 1.4)
"""Of all lamps together."""
TINT = 0.15
"""The lamps' red and blue are stronger or weaker by up to this share, against each other."""
TURN_RAD = np.pi
"""The lamps are turned about the vertical by up to this, either way."""


@dataclass(frozen=True)
class Look:
    """The table's colour (None: as the scene has it), by how much each colour of the lamps is
    multiplied, and by how much the lamps are turned about the vertical."""

    table_rgb: tuple[float, float, float] | None = None
    lamps_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    turn_rad: float = 0.0


def look_of(looks: Sequence[str], seed: int) -> Look:
    """The look of the world of `seed` if `looks` of it are changed. Raises ValueError."""
    if unknown := set(looks) - set(LOOKS):
        raise ValueError(f"no look {', '.join(sorted(unknown))}; there is {', '.join(LOOKS)}")
    look = Look()
    # A stream for each: both together are what each is alone.
    background, light = (np.random.default_rng([seed, place]) for place in range(10, 12))
    if BACKGROUND in looks:
        colour = [background.uniform(*bounds) for bounds in (HUES, SATURATION, VALUE)]
        look = replace(look, table_rgb=colorsys.hsv_to_rgb(*colour))
    if LIGHT in looks:
        gain, tint = light.uniform(*GAIN), light.uniform(-TINT, TINT)
        rgb = (gain * (1 + tint), gain, gain * (1 - tint))
        look = replace(look, lamps_rgb=rgb, turn_rad=light.uniform(-TURN_RAD, TURN_RAD))
    return look


class Wardrobe:
    """Dresses a model, whose own look it remembers: for what renders it, physics does not mind."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._table = model.geom("table").id
        self._rgb = model.geom_rgba[self._table, :3].copy()
        self._direction = model.light_dir.copy()
        self._lamps = {
            name: getattr(model, name).copy()
            for name in ("light_ambient", "light_diffuse", "light_specular")
        }
        head = model.vis.headlight
        self._head = {name: getattr(head, name).copy() for name in ("ambient", "diffuse")}

    def wear(self, look: Look) -> None:
        """From the next image on."""
        model = self._model
        model.geom_rgba[self._table, :3] = self._rgb if look.table_rgb is None else look.table_rgb
        for name, colours in self._lamps.items():
            getattr(model, name)[:] = colours * look.lamps_rgb
        for name, colour in self._head.items():
            getattr(model.vis.headlight, name)[:] = colour * look.lamps_rgb
        cos, sin = np.cos(look.turn_rad), np.sin(look.turn_rad)
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        model.light_dir[:] = self._direction @ turn.T

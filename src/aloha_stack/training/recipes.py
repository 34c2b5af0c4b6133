"""Recipes: everything that a training is told, from config/policies/NAME.yaml and --set."""

import json
import types
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from aloha_stack.policies.sight import Crops
from aloha_stack.robot.share import share_folder
from aloha_stack.robot.yaml_section import RobotConfigError, read_yaml, shown
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.sampling import EPISODE, STEP

COSINE, CONSTANT = "cosine", "constant"
BF16, FP32 = "bf16", "fp32"


class RecipeError(TrainingError):
    """A recipe says something that cannot be; the message names the key."""


@dataclass(frozen=True)
class DataRecipe:
    """What is read of the episodes (training/settings.py) and how they are split."""

    cameras: tuple[str, ...] | None = None  # None: those of the first episode
    image_size: tuple[int, int] | None = None  # (height, width) px; None: as recorded
    crop: Crops | None = None  # top, left, height, width of what is seen of it; or one a camera
    seen: tuple[int, int] | None = None  # (height, width) px at which that is seen
    state: tuple[str, ...] = ("position",)
    action: str = "executed"
    allowed: tuple[str, ...] = ("good",)
    commanders: tuple[str, ...] = ("human", "policy")  # whose steps are learnt from
    step_hz: float = 50.0
    validation: float = 0.1  # share of the episodes
    cache: bool = True


@dataclass(frozen=True)
class TrainingRecipe:
    """How weights are moved. Either `steps` or `minutes` of wall time say when it is over."""

    steps: int = 6000
    minutes: float | None = None
    batch: int = 64  # samples a step, over all processes
    draw: str = STEP  # or "episode", see SeededSampler
    lr: float = 4e-4
    backbone_lr: float | None = None  # None: lr
    weight_decay: float = 1e-4
    adam_eps: float = 1e-8
    warmup: int = 300  # steps from 0 to lr
    schedule: str = COSINE  # or "constant"
    clip: float | None = 1.0  # largest norm of the gradient
    ema: float = 0.998  # 0: none
    precision: str = BF16  # what is computed in; weights are float32
    validate_every: int = 250  # steps
    validation_samples: int = 512
    patience: int = 0  # validations without a better one; 0: no early end
    save_minutes: float = 2.0


@dataclass(frozen=True)
class AugmentationRecipe:
    """Chances that each sample gets; 0 switches one off. training/augmentation.py says how."""

    shift_px: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0  # of a full turn
    noise: float = 0.0  # grey levels of 255
    erase: float = 0.0  # chance that a rectangle of a picture is black
    flip: float = 0.0  # chance of being mirrored, for each direction
    state_noise: float = 0.0  # in units of the state's standard deviation
    range_noise: float = 0.0  # in units of the state's range


@dataclass(frozen=True)
class Recipe:
    """`network` and `loss` belong to the policy, which checks them."""

    policy: str
    data: DataRecipe = field(default_factory=DataRecipe)
    network: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `recipe_of` is the reverse."""
        return asdict(self)


def default_recipe(policy: str) -> str:
    """The recipe that is taken where none is named."""
    return "act_cpu" if policy == "act" else policy


def recipe_names() -> list[str]:
    """The recipes in config/policies."""
    return sorted(path.stem for path in (share_folder() / "config/policies").glob("*.yaml"))


def load_recipe(name: str, changes: Iterable[str] = ()) -> Recipe:
    """A recipe by name, or by the path of a .yaml file, with `changes` of the form key=value.

    Raises RecipeError, which names the file and the key.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = share_folder() / f"config/policies/{name}.yaml"
    if not path.is_file():
        raise RecipeError(
            f"there is no recipe '{name}'; there are {', '.join(recipe_names())}, or give the "
            "path of a .yaml file"
        )
    try:
        data = read_yaml(path)
    except RobotConfigError as error:
        raise RecipeError(str(error)) from error
    return recipe_of(data, changes, str(path.name))


def recipe_of(data: Any, changes: Iterable[str] = (), source: str = "recipe") -> Recipe:
    """A recipe from the mapping that its file holds, with `changes`. Raises RecipeError."""
    if not isinstance(data, dict):
        raise RecipeError(f"{source}: expected a mapping (key: value), found {shown(data)}")
    for change in changes:
        data = _changed(data, change)
    try:
        json.dumps(data, default=str)
    except ValueError as error:
        raise RecipeError(
            f"{source}: a value contains itself (an alias within its anchor)"
        ) from error
    recipe = _build(Recipe, data, source, "")
    _check(recipe, source)
    return recipe


def _changed(data: Mapping[str, Any], change: str) -> dict[str, Any]:
    """`data` with one value set: "training.batch=32"; the value is read as YAML."""
    key, mark, text = change.partition("=")
    if not mark or not all(key.split(".")):
        raise RecipeError(f"--set {change}: expected key=value, as training.batch=32")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {change}: the value is no YAML: {error}") from error
    first, _, rest = key.partition(".")
    if rest:
        inner = data.get(first) or {}
        if not isinstance(inner, Mapping):
            raise RecipeError(f"--set {change}: {first} has no keys of its own")
        value = _changed(inner, f"{rest}={text}")
    return {**data, first: value}


T = TypeVar("T")


def _build(kind: type[T], data: Mapping[str, Any], source: str, where: str) -> T:
    hints = get_type_hints(kind)
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{where}{key}"
        if key not in known:
            raise RecipeError(f"{source}: {name}: unknown; expected one of {', '.join(known)}")
        hint = hints[key]
        if hasattr(hint, "__dataclass_fields__"):
            if not isinstance(value, Mapping):
                raise RecipeError(f"{source}: {name}: expected a mapping, found {shown(value)}")
            values[key] = _build(hint, value, source, f"{name}.")
            continue
        value = _number(_tuples(value), hint)
        if not _fits(value, hint):
            raise RecipeError(f"{source}: {name}: expected {_told(hint)}, found {shown(value)}")
        values[key] = value
    if kind is Recipe and "policy" not in values:
        raise RecipeError(f"{source}: policy: missing")
    return kind(**values)


def _number(value: Any, hint: Any) -> Any:
    """A float where one is expected: YAML takes 1e-4, without a point, for a text."""
    if float in (hint, *get_args(hint)) and isinstance(value, int | str):
        try:
            return value if isinstance(value, bool) else float(value)
        except (ValueError, OverflowError):
            return value
    return value


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if origin is tuple:
        inner = get_args(hint)
        if not isinstance(value, tuple):
            return False
        if inner[-1] is Ellipsis:
            return all(_fits(one, inner[0]) for one in value)
        return len(value) == len(inner) and all(map(_fits, value, inner))
    if origin is not None:
        return isinstance(value, origin)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _told(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "a name", bool: "true or false"}
    if hint in words:
        return words[hint]
    if hint is type(None):
        return "null"
    inner = [one for one in get_args(hint) if one is not Ellipsis]
    if get_origin(hint) is tuple:
        return f"a list of {_told(inner[0]).removeprefix('a ')}s"
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_told, inner))
    return "a mapping"


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _check(recipe: Recipe, source: str) -> None:
    training, chances = recipe.training, recipe.augmentation

    def need(holds: bool, key: str, what: str) -> None:
        if not holds:
            part, name = key.split(".")
            found = getattr(getattr(recipe, part), name)
            raise RecipeError(f"{source}: {key}: expected {what}, found {shown(found)}")

    for name in ("steps", "batch", "validate_every", "validation_samples"):
        need(getattr(training, name) >= 1, f"training.{name}", "a whole number from 1")
    for name in ("warmup", "patience"):
        need(getattr(training, name) >= 0, f"training.{name}", "a whole number from 0")
    for name in ("lr", "adam_eps", "save_minutes"):
        need(0 < getattr(training, name) < 1e9, f"training.{name}", "a number above 0")
    for name in ("minutes", "backbone_lr", "clip"):
        value = getattr(training, name)
        need(value is None or 0 < value < 1e9, f"training.{name}", "a number above 0, or null")
    need(0 <= training.weight_decay < 1, "training.weight_decay", "0 … 1")
    need(0 <= training.ema < 1, "training.ema", "0 … 1, without 1")
    need(training.draw in (STEP, EPISODE), "training.draw", f"{STEP} or {EPISODE}")
    need(training.schedule in (COSINE, CONSTANT), "training.schedule", f"{COSINE} or {CONSTANT}")
    need(training.precision in (BF16, FP32), "training.precision", f"{BF16} or {FP32}")
    need(0 <= recipe.data.validation < 1, "data.validation", "0 … 1, without 1")
    need(0 <= chances.shift_px <= 1000, "augmentation.shift_px", "0 … 1000 px")
    for name in ("brightness", "contrast", "saturation"):
        need(0 <= getattr(chances, name) < 1, f"augmentation.{name}", "0 … 1, without 1")
    for name in ("hue", "erase", "flip"):
        need(0 <= getattr(chances, name) <= 1, f"augmentation.{name}", "0 … 1")
    for name in ("noise", "state_noise", "range_noise"):
        need(0 <= getattr(chances, name) <= 255, f"augmentation.{name}", "0 … 255")

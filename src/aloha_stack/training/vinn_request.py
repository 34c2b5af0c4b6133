"""A VINN from a request on the command line."""

from collections.abc import Callable

from aloha_stack.progress import Progress
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.recipes import RecipeError, default_recipe, load_recipe
from aloha_stack.training.training import CACHE, Request, beside
from aloha_stack.training.vinn import Making, add, make


def make_vinn(request: Request, stop: Callable[[], bool] = lambda: False) -> None:
    """Makes the policy, or lets episodes join one, telling how it goes. Raises TrainingError,
    EpisodeError."""
    progress = Progress()

    def tell(what: str, part: float) -> None:
        if stop():
            raise TrainingError("stopped; nothing was written")
        progress.show(what, part)

    if request.add:
        progress.say(add(request.out, request.data, tell))
        return
    name = request.recipe or default_recipe(request.policy)
    source = () if request.encoder is None else (f"network.encoder_from={request.encoder}",)
    recipe = load_recipe(name, (*request.changes, *source))
    if recipe.policy != request.policy:
        raise RecipeError(f"recipe {name} is of policy {recipe.policy}, not {request.policy}")
    cache = request.cache
    if cache is None and recipe.data.cache:
        cache = beside(request.data[0]) / CACHE
    making = Making(
        recipe, name, request.data, request.out, request.seed or 0, cache, request.command
    )
    progress.say(make(making, tell))
    progress.say(f"policy: {request.out}")

"""The words that say how a task's worlds differ."""

import pytest

from aloha_stack.robot.description import load_robot
from aloha_stack.twin.looks import Look
from aloha_stack.twin.tasks import find_task
from aloha_stack.twin.variation import VariationError, variation_of
from aloha_stack.twin.world import World

PICK_PLACE, CUBE = find_task("pick_place"), find_task("transfer_cube")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", "range"),
        ("taught", "taught"),
        ("light, B,background", "B,background,light"),
        ("background,background", "range,background"),
    ],
)
def test_the_same_variation_has_one_text(words: str, text: str) -> None:
    assert variation_of(PICK_PLACE, words).text == text
    assert variation_of(PICK_PLACE, text) == variation_of(PICK_PLACE, words)


def test_looks_can_be_changed_in_any_task_and_places_where_there_are_any() -> None:
    assert variation_of(CUBE, "").text == ""
    assert variation_of(CUBE, "light").looks == ("light",)
    assert variation_of(CUBE, "").position(3) is None
    with pytest.raises(VariationError, match="transfer_cube has no variation 'taught'; what looks"):
        variation_of(CUBE, "taught")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("F", "no variation 'F'; where its object lies: range, taught, untaught, A, B, C, D, E;"),
        ("A,fog,b", "no variation 'fog', 'b'"),
        ("A,B", "'A,B' names 2 places; name one"),
    ],
)
def test_what_a_task_does_not_know_is_named_with_what_it_knows(words: str, says: str) -> None:
    with pytest.raises(VariationError) as refused:
        variation_of(PICK_PLACE, words)
    assert says in str(refused.value)


def test_a_world_looks_as_its_variation_and_seed_say() -> None:
    robot = load_robot("twin", {"ALOHA_PORTS": "none"})
    plain, other = (World("insertion", 2, robot, "start", words) for words in ("", "background"))
    assert plain.look == Look()
    before = other.look
    assert before == variation_of(find_task("insertion"), "background").look(2) != Look()
    other.reset(3)
    assert other.look != before

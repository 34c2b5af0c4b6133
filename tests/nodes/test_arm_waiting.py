"""What the log says of an arm that cannot be connected for a long time."""

from aloha_stack.nodes._arm_waiting import LONGEST_S, Waiting

WHY = "waiting for the arm: servo 3 is model 1060, not 1020; change the servo, or the robot file"


def test_it_is_told_in_full_once_then_in_short_ever_more_rarely() -> None:
    waiting = Waiting()
    told = {s: words for s in range(301) if (words := waiting.tell(WHY, 50.0 + s))}
    assert told.pop(0) == WHY
    times = list(told)
    assert times[:4] == [5, 15, 35, 75]
    assert times[-1] - times[-2] == LONGEST_S
    short = "still waiting for the arm: servo 3 is model 1060, not 1020"
    assert told[5] == f"{short} (for 5 s)"


def test_other_words_are_told_at_once_and_so_is_a_new_failure() -> None:
    waiting = Waiting()
    assert waiting.tell(WHY, 1.0) == WHY
    assert waiting.tell("the port does not exist", 2.0) == "the port does not exist"
    assert waiting.tell(WHY, 3.0) == WHY
    assert waiting.tell(WHY, 4.0) == ""
    waiting.over()
    assert waiting.tell(WHY, 5.0) == WHY

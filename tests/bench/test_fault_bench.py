"""The bench of faults through real processes: bridges, safety, the twin's world, an operator."""

import json

import pytest

from aloha_stack.bench import faults


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, dict[str, object]]]:
    """A servo of one follower restarts by itself, and then its shadow's: status and rows."""
    file = tmp_path_factory.mktemp("faults") / "faults.json"
    arguments = ["--only", "servo_reboot", "--arms", "follower_left", "--json", str(file)]
    status = faults.main(arguments)
    rows = json.loads(file.read_text())["rows"]
    return status, {row["metric"]: row for row in rows}


def test_a_servo_that_restarts_is_seen_mended_and_moves_nothing(struck) -> None:
    status, rows = struck
    missed = [metric for metric, row in rows.items() if row["holds"] is False]
    assert (status, missed) == (0, [])


def test_what_is_told_is_the_operators_remedy(struck) -> None:
    _, rows = struck
    back = [metric for metric in rows if "recovery" in metric]
    assert back == [
        "servo_reboot, follower_left servo 2: recovery (/reboot)",
        "servo_reboot (a shadow), follower_left servo 5: recovery (/reboot)",
    ]


def test_a_wrong_fault_is_refused_before_anything_is_started(capsys) -> None:
    assert faults.main(["--only", "rust"]) == 2
    assert "no fault 'rust'; there is lost_reply" in capsys.readouterr().err

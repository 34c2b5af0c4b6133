"""An encoder that makes threads real-time (SVT-AV1, as root) does not leave them so."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from aloha_stack.episodes.lerobot_video import CODECS, encode
from aloha_stack.episodes.schedulers import as_before


def policies() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            found.add(os.sched_getscheduler(int(task.name)))
    return found


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_while_a_video_is_encoded_every_thread_is_scheduled_as_before(
    codec: object, tmp_path: Path
) -> None:
    before = policies()
    seen: list[set[int]] = []

    def pictures():
        for number in range(6):
            if number:
                seen.append(policies())
            yield np.full((64, 96, 3), 40 * number, np.uint8)

    encode(pictures(), tmp_path / "video.mp4", codec, 50, (64, 96))
    assert seen == [before] * 5
    assert policies() == before


def test_what_a_block_changed_is_taken_back_in_every_thread() -> None:
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait)
    before = os.sched_getscheduler(0)
    with as_before():
        thread.start()
        # Batch needs no rights, where real-time does.
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        os.sched_setscheduler(thread.native_id or 0, os.SCHED_BATCH, os.sched_param(0))
    assert os.sched_getscheduler(0) == before
    assert os.sched_getscheduler(thread.native_id or 0) == before
    ending.set()
    thread.join()

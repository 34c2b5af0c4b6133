"""Jobs that are handed to a thread, and what becomes of them when it ends."""

import threading
from collections.abc import Callable

import pytest

from aloha_stack.nodes._jobs import Jobs, Refused


class Expected(RuntimeError):
    """What a job may raise without harm to its owner."""


class Owner:
    """A thread that serves until told to end, or until a job breaks it."""

    def __init__(self) -> None:
        self.jobs = Jobs("nobody is there", (Expected,), self._wake)
        self.failure: BaseException | None = None
        self._event, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self.jobs.open()
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._event.set()
        self._thread.join()

    def _wake(self) -> None:
        self._event.set()

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                self._event.wait()
                self._event.clear()
                self.jobs.serve()
        except ZeroDivisionError as error:
            self.failure = error
        finally:
            self.jobs.close("it has ended")


@pytest.fixture
def owner():
    made = Owner()
    yield made
    if made._thread.is_alive():
        made.stop()


def raising(error: Exception) -> Callable[[], None]:
    def job() -> None:
        raise error

    return job


def test_a_job_is_done_in_the_owners_thread(owner: Owner) -> None:
    owner.start()
    assert owner.jobs.ask(threading.get_ident, 5.0) == owner._thread.ident


def test_without_an_owner_it_is_refused(owner: Owner) -> None:
    with pytest.raises(Refused, match="nobody is there"):
        owner.jobs.ask(int, 5.0)


def test_an_expected_error_reaches_who_asked_and_harms_nobody(owner: Owner) -> None:
    owner.start()
    with pytest.raises(Expected, match="no"):
        owner.jobs.ask(raising(Expected("no")), 5.0)
    assert owner.jobs.ask(lambda: 3, 5.0) == 3


def test_any_other_error_is_refused_and_ends_the_owner(owner: Owner) -> None:
    owner.start()
    with pytest.raises(Refused, match="ZeroDivisionError"):
        owner.jobs.ask(raising(ZeroDivisionError()), 5.0)
    owner._thread.join()
    assert isinstance(owner.failure, ZeroDivisionError)
    with pytest.raises(Refused, match="it has ended"):
        owner.jobs.ask(int, 5.0)


def test_what_waits_at_the_end_is_refused(owner: Owner) -> None:
    owner.jobs.open()
    answers: list[str] = []

    def ask() -> None:
        with pytest.raises(Refused) as caught:
            owner.jobs.ask(int, 5.0)
        answers.append(str(caught.value))

    thread = threading.Thread(target=ask)
    thread.start()
    owner._event.wait()
    owner.jobs.close("it has ended")
    thread.join()
    assert answers == ["it has ended"]


def test_a_job_for_which_there_is_no_time_is_never_done(owner: Owner) -> None:
    owner.jobs.open()
    done: list[int] = []
    with pytest.raises(Refused, match=r"no time for it in 0\.01 s"):
        owner.jobs.ask(lambda: done.append(1), 0.01)
    owner.jobs.serve()
    assert done == []

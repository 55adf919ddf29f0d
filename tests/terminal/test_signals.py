"""Signals that wait until what is under way is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from nncompare.terminal.signals import Held, ended_like_ctrl_c, held

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def ctrl_c_interrupts() -> Iterator[None]:
    """A shell's background job ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", ENDING)
def test_what_is_held_is_done_to_its_end_and_the_signal_comes_after_it(number: int) -> None:
    done = []

    def work() -> None:
        with ended_like_ctrl_c():
            with held():
                signal.raise_signal(number)
                done.append("stored")
            done.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["stored"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_first_signal_is_obeyed_at_once_and_five_quick_ones_are_one() -> None:
    done = []
    with held() as signals:
        try:
            with signals.obeyed():
                try:
                    signal.raise_signal(signal.SIGINT)
                    done.append("not reached")
                finally:
                    for _ in range(4):
                        signal.raise_signal(signal.SIGINT)
                    done.append("closed")
        except KeyboardInterrupt:
            done.append("interrupted")
        signal.raise_signal(signal.SIGINT)
        done.append("stored")
    assert done == ["closed", "interrupted", "stored"]


def test_a_signal_that_has_waited_is_obeyed_where_that_begins() -> None:
    with held() as signals:
        signal.raise_signal(signal.SIGINT)
        assert signals.waiting == signal.SIGINT
        with pytest.raises(KeyboardInterrupt), signals.obeyed():
            pytest.fail("it was to be obeyed before")
        assert signals.waiting is None


def test_an_inner_one_is_the_outer_one() -> None:
    done = []

    def command() -> None:
        with held() as outer:
            with held() as inner:
                assert inner is outer
                signal.raise_signal(signal.SIGINT)
            done.append("shown")

    with pytest.raises(KeyboardInterrupt):
        command()
    assert done == ["shown"]


def test_an_error_inside_is_not_covered_by_a_signal_that_waits() -> None:

    def work() -> None:
        with held():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("disk")

    with pytest.raises(ValueError, match="disk"):
        work()


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_like_ctrl_c(), held():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_holds_nothing() -> None:
    found: list[Held] = []

    def work() -> None:
        with held() as signals, signals.obeyed():
            found.append(signals)

    thread = threading.Thread(target=work)
    with held() as signals:
        thread.start()
        thread.join()
    assert found
    assert found[0] is not signals


def test_one_obeyed_part_may_stand_in_another() -> None:
    done = []
    with held() as signals:
        try:
            with signals.obeyed():
                with signals.obeyed():
                    done.append("inner")
                signal.raise_signal(signal.SIGINT)
                done.append("not reached")
        except KeyboardInterrupt:
            done.append("interrupted")
    assert done == ["inner", "interrupted"]
    with held() as signals:
        try:
            with signals.obeyed():
                try:
                    with signals.obeyed():
                        signal.raise_signal(signal.SIGINT)
                finally:
                    signal.raise_signal(signal.SIGINT)
                    done.append("closed")
        except KeyboardInterrupt:
            done.append("once")
    assert done[2:] == ["closed", "once"]

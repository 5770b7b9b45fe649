"""Signals, sent to this very process."""

import os
import signal
import subprocess
import sys

import pytest

from brats_unet.errors import Stopped
from brats_unet.stopping import SIGNALS, StopRequest


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_raises_and_the_handlers_of_before_come_back(number):
    before = [signal.getsignal(one) for one in SIGNALS]
    with pytest.raises(Stopped), StopRequest() as stop:
        assert not stop.requested and stop.by == ""
        os.kill(os.getpid(), number)
    assert stop.requested and stop.signal == number
    assert stop.by == {signal.SIGINT: "Ctrl-C"}.get(number, number.name)
    assert [signal.getsignal(one) for one in SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_deferred_signal_is_recorded_and_others_than_ctrl_c_change_nothing_after_it():
    with StopRequest() as stop, stop.deferred():
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.signal == signal.SIGUSR1
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.signal == signal.SIGUSR1
        with pytest.raises(KeyboardInterrupt) as caught:
            os.kill(os.getpid(), signal.SIGINT)
    assert type(caught.value) is KeyboardInterrupt


def test_a_second_ctrl_c_raises_also_while_the_first_is_handled():
    with StopRequest():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except Stopped:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)


def test_within_a_raising_part_a_signal_is_an_exception_and_one_of_before_is_one_at_its_start():
    with StopRequest() as stop, stop.deferred():
        with stop.raising():
            pass
        with pytest.raises(Stopped), stop.raising():
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # deferred again
        with pytest.raises(Stopped), stop.raising():
            raise AssertionError("the block has begun")


def test_an_inner_block_has_the_signals_and_the_outer_one_gets_them_back():
    with StopRequest() as outer, outer.deferred():
        with StopRequest() as inner, inner.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
        assert inner.requested and not outer.requested
        os.kill(os.getpid(), signal.SIGUSR1)
        assert outer.requested


LATE = """
import ctypes, os, signal
from brats_unet.stopping import StopRequest
with StopRequest() as stop, stop.deferred():
    stop.within_seconds, stop.late = 0.05, "Too late."
    os.kill(os.getpid(), signal.SIGTERM)
    ctypes.CDLL(None).sleep(600)  # no handler of Python runs while the main thread is in C
"""


def test_a_computation_that_goes_on_too_long_is_ended_with_75():
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (75, "\nToo late.\n")


def test_the_time_limit_ends_with_the_block():
    ended = []
    with StopRequest(end=ended.append) as stop, stop.deferred():
        stop.within_seconds = 3600
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended == [] and not stop._watch.is_alive()

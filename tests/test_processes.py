"""Applying one function to many arguments in parallel processes."""

import os
import signal

import pytest

from brats_unet.errors import DataError, MachineError
from brats_unet.processes import cores, map_in_processes


def process_id(_):
    return os.getpid()


def refuse(number):
    raise DataError(f"number {number}")


def test_little_work_stays_in_this_process():
    assert map_in_processes(process_id, [1, 2], seconds_each=0.1, workers=8) == [os.getpid()] * 2
    assert map_in_processes(process_id, [1, 2, 3], seconds_each=9, workers=1) == [os.getpid()] * 3


def test_more_work_goes_to_other_processes():
    assert os.getpid() not in map_in_processes(process_id, [1, 2, 3], seconds_each=9, workers=2)


def test_no_argument_gives_no_result():
    assert map_in_processes(process_id, [], seconds_each=9) == []


def test_an_error_reaches_the_caller_with_its_message():
    with pytest.raises(DataError, match="number"):
        map_in_processes(refuse, [1, 2, 3], seconds_each=9, workers=2)


def kill_itself(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_reported_with_what_to_do():
    with pytest.raises(
        MachineError, match=r"One of 2 parallel processes .* memory ran out\. Run again with fewer processes: workers=1"
    ):
        map_in_processes(kill_itself, [1, 2, 3], seconds_each=9, workers=2)


def test_a_negative_number_of_workers_is_refused():
    with pytest.raises(ValueError, match="workers=-1: expected 0"):
        map_in_processes(process_id, [1], seconds_each=9, workers=-1)


def test_there_is_at_least_one_core():
    assert cores() >= 1

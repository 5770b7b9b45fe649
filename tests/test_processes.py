"""One function over many arguments in processes."""

import os
import signal

import pytest

from brats_unet.errors import DataError, MachineError
from brats_unet.processes import cores, map_in_processes


def process_of(_):
    return os.getpid()


def refuse(number):
    raise DataError(f"number {number}")


def test_a_few_arguments_stay_in_this_process():
    assert map_in_processes(process_of, [1, 2], seconds_each=0.1, workers=8) == [os.getpid()] * 2
    assert map_in_processes(process_of, [1, 2, 3], seconds_each=9, workers=1) == [os.getpid()] * 3


def test_more_go_to_others():
    assert os.getpid() not in map_in_processes(process_of, [1, 2, 3], seconds_each=9, workers=2)


def test_no_argument_gives_no_result():
    assert map_in_processes(process_of, [], seconds_each=9) == []


def test_an_error_reaches_the_caller_with_its_sentence():
    with pytest.raises(DataError, match="number"):
        map_in_processes(refuse, [1, 2, 3], seconds_each=9, workers=2)


def end_abruptly(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_ended_from_outside_is_told_with_what_to_do():
    with pytest.raises(MachineError, match=r"One of 2 processes .* memory ran out\. Run again with fewer: workers=1"):
        map_in_processes(end_abruptly, [1, 2, 3], seconds_each=9, workers=2)


def test_a_negative_number_of_workers_is_refused():
    with pytest.raises(ValueError, match="counted from 0"):
        map_in_processes(process_of, [1], seconds_each=9, workers=-1)


def test_there_is_at_least_one_core():
    assert cores() >= 1

"""Items are read, computed and written in order, in three threads, and do not accumulate."""

import threading
import time

import pytest

from brats_unet.errors import DataError
from brats_unet.prefetch import prefetched


def processed(items, read=lambda i: i, compute=lambda i, x: x, write=lambda i, x: x):
    return list(prefetched(items, read, compute, write, refused=DataError))


def test_results_come_in_the_order_of_the_items():
    slow = processed(range(6), read=lambda i: time.sleep(0.01 * (6 - i)) or i, write=lambda i, x: x * 10)
    assert slow == [(i, i * 10) for i in range(6)]
    assert processed([]) == []


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_an_item_refused_at_any_step_is_returned_with_its_error_and_the_others_are_processed(step):
    def picky(item, *rest):
        if item in (0, 3):
            raise DataError(f"{item} is bad")
        return item

    found = processed(range(5), **{step: picky})
    assert [item for item, _ in found] == list(range(5))
    assert [str(result) for _, result in found] == ["0 is bad", "1", "2", "3 is bad", "4"]


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_any_other_error_ends_the_loop(step):
    def broken(item, *rest):
        if item == 2:
            raise ZeroDivisionError
        return item

    with pytest.raises(ZeroDivisionError):
        processed(range(5), **{step: broken})


def test_exactly_one_item_is_read_ahead():
    started, ahead = [], []

    def read(item):
        started.append(item)
        return item

    def compute(item, loaded):
        time.sleep(0.05)
        ahead.append(len(started) - item)
        return loaded

    processed(range(5), read=read, compute=compute)
    assert ahead == [2, 2, 2, 2, 1]


def test_reading_and_writing_overlap_with_computing():
    threads = set()

    def read(item):
        threads.add(threading.current_thread().name)
        time.sleep(0.05)
        return item

    def write(item, result):
        threads.add(threading.current_thread().name)
        time.sleep(0.05)
        return result

    begin = time.perf_counter()
    processed(range(6), read=read, compute=lambda i, x: time.sleep(0.05) or x, write=write)
    assert time.perf_counter() - begin < 0.75 * 6 * 0.15
    assert len(threads) == 2 and threading.current_thread().name not in threads


def test_on_keyboard_interrupt_the_item_being_written_is_completed():
    done = []

    def write(item, result):
        time.sleep(0.1)
        done.append(item)

    def compute(item, loaded):
        if item == 2:
            raise KeyboardInterrupt
        return loaded

    with pytest.raises(KeyboardInterrupt):
        processed(range(9), compute=compute, write=write)
    assert done == [0, 1]
    assert not [t for t in threading.enumerate() if t.name.startswith(("read", "write"))]

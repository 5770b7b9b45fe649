"""Items pass three stations in order, two of them in threads, and nothing piles up."""

import threading
import time

import pytest

from brats_unet.errors import DataError
from brats_unet.prefetch import prefetched


def through(items, read=lambda i: i, compute=lambda i, x: x, write=lambda i, x: x):
    return list(prefetched(items, read, compute, write, refused=DataError))


def test_results_come_in_the_order_of_the_items():
    slow = through(range(6), read=lambda i: time.sleep(0.01 * (6 - i)) or i, write=lambda i, x: x * 10)
    assert slow == [(i, i * 10) for i in range(6)]
    assert through([]) == []


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_an_item_that_is_refused_at_any_step_is_named_and_the_others_pass(step):
    def picky(item, *rest):
        if item in (0, 3):
            raise DataError(f"{item} is bad")
        return item

    found = through(range(5), **{step: picky})
    assert [item for item, _ in found] == list(range(5))
    assert [str(result) for _, result in found] == ["0 is bad", "1", "2", "3 is bad", "4"]


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_any_other_error_ends_it(step):
    def broken(item, *rest):
        if item == 2:
            raise ZeroDivisionError
        return item

    with pytest.raises(ZeroDivisionError):
        through(range(5), **{step: broken})


def test_one_item_is_read_ahead_and_no_more():
    fetched, seen = [], []

    def read(item):
        fetched.append(item)
        return item

    def compute(item, given):
        time.sleep(0.05)
        seen.append(len(fetched) - item)
        return given

    through(range(5), read=read, compute=compute)
    assert seen == [2, 2, 2, 2, 1]


def test_fetching_and_putting_away_overlap_with_the_work():
    threads = set()

    def read(item):
        threads.add(threading.current_thread().name)
        time.sleep(0.05)
        return item

    def write(item, given):
        threads.add(threading.current_thread().name)
        time.sleep(0.05)
        return given

    begin = time.perf_counter()
    through(range(6), read=read, compute=lambda i, x: time.sleep(0.05) or x, write=write)
    assert time.perf_counter() - begin < 0.75 * 6 * 0.15
    assert len(threads) == 2 and threading.current_thread().name not in threads


def test_when_stopped_by_hand_the_item_being_written_is_written_to_the_end():
    done = []

    def write(item, given):
        time.sleep(0.1)
        done.append(item)

    def compute(item, given):
        if item == 2:
            raise KeyboardInterrupt
        return given

    with pytest.raises(KeyboardInterrupt):
        through(range(9), compute=compute, write=write)
    assert done == [0, 1]
    assert not [t for t in threading.enumerate() if t.name.startswith(("read", "write"))]

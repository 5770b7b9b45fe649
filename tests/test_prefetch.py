"""Items are read, computed and written in order, in three threads, and do not accumulate."""

import threading

import pytest

from brats_unet.errors import DataError
from brats_unet.prefetch import prefetched

SOON = 30  # seconds that a thread waits for another before the test fails


def processed(items, read=lambda i: i, compute=lambda i, x: x, write=lambda i, x: x):
    return list(prefetched(items, read, compute, write, refused=DataError))


def test_results_come_in_the_order_of_the_items():
    assert processed(range(6), write=lambda i, x: x * 10) == [(i, i * 10) for i in range(6)]
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
    started = [threading.Event() for _ in range(5)]
    done, ahead = [], []

    def read(item):
        ahead.append(item - len(done))
        started[item].set()
        return item

    def compute(item, given):
        assert item == 4 or started[item + 1].wait(SOON)  # the next one is read meanwhile
        assert not any(event.is_set() for event in started[item + 2 :])
        done.append(item)
        return given

    processed(range(5), read=read, compute=compute)
    assert done == list(range(5)) and max(ahead) == 1


def test_reading_and_writing_overlap_with_computing():
    threads = set()
    all_three = threading.Barrier(3, timeout=SOON)  # passed only while an item is in each step

    def read(item):
        threads.add(threading.current_thread().name)
        if item >= 2:
            all_three.wait()
        return item

    def compute(item, given):
        if 1 <= item <= 4:
            all_three.wait()
        return given

    def write(item, given):
        threads.add(threading.current_thread().name)
        if item <= 3:
            all_three.wait()
        return given

    assert len(processed(range(6), read=read, compute=compute, write=write)) == 6
    assert len(threads) == 2 and threading.current_thread().name not in threads


def test_on_keyboard_interrupt_the_item_being_written_is_completed():
    done, stopped, writing = [], threading.Event(), threading.Event()

    def write(item, given):
        if item == 1:
            writing.set()
            assert stopped.wait(SOON)
        done.append(item)

    def compute(item, loaded):
        if item == 2:
            assert writing.wait(SOON)
            stopped.set()
            raise KeyboardInterrupt
        return loaded

    with pytest.raises(KeyboardInterrupt):
        processed(range(9), compute=compute, write=write)
    assert done == [0, 1]
    assert not [t for t in threading.enumerate() if t.name.startswith(("read", "write"))]

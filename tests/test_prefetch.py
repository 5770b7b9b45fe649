"""Items pass three stations in order, two of them in threads, and nothing piles up."""

import threading
import time

import pytest

from brats_unet.errors import DataError
from brats_unet.prefetch import conveyed


def through(items, fetch=lambda i: i, work=lambda i, x: x, put_away=lambda i, x: x):
    return list(conveyed(items, fetch, work, put_away, refused=DataError))


def test_results_come_in_the_order_of_the_items():
    slow = through(range(6), fetch=lambda i: time.sleep(0.01 * (6 - i)) or i, put_away=lambda i, x: x * 10)
    assert slow == [(i, i * 10) for i in range(6)]
    assert through([]) == []


@pytest.mark.parametrize("station", ["fetch", "work", "put_away"])
def test_an_item_that_is_refused_at_any_station_is_named_and_the_others_pass(station):
    def picky(item, *rest):
        if item in (0, 3):
            raise DataError(f"{item} is bad")
        return item

    found = through(range(5), **{station: picky})
    assert [item for item, _ in found] == list(range(5))
    assert [str(result) for _, result in found] == ["0 is bad", "1", "2", "3 is bad", "4"]


@pytest.mark.parametrize("station", ["fetch", "work", "put_away"])
def test_any_other_error_ends_it(station):
    def broken(item, *rest):
        if item == 2:
            raise ZeroDivisionError
        return item

    with pytest.raises(ZeroDivisionError):
        through(range(5), **{station: broken})


def test_one_item_is_fetched_ahead_and_no_more():
    fetched, seen = [], []

    def fetch(item):
        fetched.append(item)
        return item

    def work(item, given):
        time.sleep(0.05)
        seen.append(len(fetched) - item)
        return given

    through(range(5), fetch=fetch, work=work)
    assert seen == [2, 2, 2, 2, 1]


def test_fetching_and_putting_away_overlap_with_the_work():
    threads = set()

    def fetch(item):
        threads.add(threading.current_thread().name)
        time.sleep(0.05)
        return item

    def put_away(item, given):
        threads.add(threading.current_thread().name)
        time.sleep(0.05)
        return given

    begin = time.perf_counter()
    through(range(6), fetch=fetch, work=lambda i, x: time.sleep(0.05) or x, put_away=put_away)
    assert time.perf_counter() - begin < 0.75 * 6 * 0.15
    assert len(threads) == 2 and threading.current_thread().name not in threads


def test_when_stopped_by_hand_the_item_being_put_away_is_put_away_to_the_end():
    done = []

    def put_away(item, given):
        time.sleep(0.1)
        done.append(item)

    def work(item, given):
        if item == 2:
            raise KeyboardInterrupt
        return given

    with pytest.raises(KeyboardInterrupt):
        through(range(9), work=work, put_away=put_away)
    assert done == [0, 1]
    assert not [t for t in threading.enumerate() if t.name.startswith(("fetch", "put away"))]

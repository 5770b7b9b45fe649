"""Three stations in a row: the next item is fetched and the last one put away while this one is worked on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Fetched = TypeVar("Fetched")
Worked = TypeVar("Worked")
Done = TypeVar("Done")
Refused = TypeVar("Refused", bound=Exception)


def conveyed(
    items: Iterable[Item],
    fetch: Callable[[Item], Fetched],
    work: Callable[[Item, Fetched], Worked],
    put_away: Callable[[Item, Worked], Done],
    *,
    refused: type[Refused],
) -> Iterator[tuple[Item, Done | Refused]]:
    """Each item, in order, with what `put_away(item, work(item, fetch(item)))` gave, or the `refused` it raised.

    `fetch` and `put_away` run in a thread each, `work` in the caller's. At most one item waits before `work` and one
    after it, so memory does not grow with their number. However it ends (Ctrl-C too), an item that is being put away
    is put away to the end, and no further one is begun.
    """
    source = iter(items)
    coming: deque[tuple[Item, Future[Fetched]]] = deque()
    leaving: tuple[Item, Future[Done]] | None = None

    with ThreadPoolExecutor(1, "fetch") as fetching, ThreadPoolExecutor(1, "put away") as putting:

        def order_next() -> None:
            for item in source:
                coming.append((item, fetching.submit(fetch, item)))
                return

        def outcome(item: Item, future: Future[Done]) -> tuple[Item, Done | Refused]:
            try:
                return item, future.result()
            except refused as problem:
                return item, problem

        try:
            order_next()
            while coming:
                item, future = coming.popleft()
                problem: Refused | None = None
                try:
                    fetched = future.result()
                    order_next()
                    worked = work(item, fetched)
                    del fetched
                except refused as raised:
                    problem = raised
                    if not coming:
                        order_next()
                if leaving is not None:
                    yield outcome(*leaving)
                    leaving = None
                if problem is not None:
                    yield item, problem
                else:
                    leaving = (item, putting.submit(put_away, item, worked))
                    del worked
                del future
            if leaving is not None:
                yield outcome(*leaving)
        finally:
            for _, waiting in coming:
                waiting.cancel()

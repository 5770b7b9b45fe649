"""A pipeline of three steps: the next item is read and the last result written while this one is computed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Input = TypeVar("Input")
Result = TypeVar("Result")
Written = TypeVar("Written")
Refused = TypeVar("Refused", bound=Exception)


def prefetched(
    items: Iterable[Item],
    read: Callable[[Item], Input],
    compute: Callable[[Item, Input], Result],
    write: Callable[[Item, Result], Written],
    *,
    refused: type[Refused],
) -> Iterator[tuple[Item, Written | Refused]]:
    """Each item, in order, with what `write(item, compute(item, read(item)))` returned, or the `refused` it raised.

    `read` and `write` run in one thread each, `compute` in the caller's. At most one item waits before `compute` and
    one after it, so memory does not grow with the number of items. However the loop ends (Ctrl-C too), an item that
    is being written is written to the end, and no further one is started.
    """
    source = iter(items)
    coming: deque[tuple[Item, Future[Input]]] = deque()
    leaving: tuple[Item, Future[Written]] | None = None

    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:

        def read_next() -> None:
            for item in source:
                coming.append((item, reader.submit(read, item)))
                return

        def outcome(item: Item, future: Future[Written]) -> tuple[Item, Written | Refused]:
            try:
                return item, future.result()
            except refused as problem:
                return item, problem

        try:
            read_next()
            while coming:
                item, future = coming.popleft()
                problem: Refused | None = None
                try:
                    given = future.result()
                    read_next()
                    result = compute(item, given)
                    del given
                except refused as raised:
                    problem = raised
                    if not coming:
                        read_next()
                if leaving is not None:
                    yield outcome(*leaving)
                    leaving = None
                if problem is not None:
                    yield item, problem
                else:
                    leaving = (item, writer.submit(write, item, result))
                    del result
                del future
            if leaving is not None:
                yield outcome(*leaving)
        finally:
            for _, waiting in coming:
                waiting.cancel()

"""Prefetch the next item and write the previous result while the current item is computed."""

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
    """Read, compute and write items as a pipeline.

    `read` and `write` run in one thread each, `compute` runs in the caller's thread. At most one item waits before
    `compute` and one after it, so memory does not grow with the number of items. When the loop ends early (also by
    Ctrl-C), the item that is being written is completed and no other item is started.

    Args:
        items: Items to process, in order.
        read: Reads the input of an item.
        compute: Computes the result of an item from its input.
        write: Writes a result; its return value is yielded.
        refused: Exception class that skips an item instead of ending the loop. Other exceptions end the loop.

    Yields:
        Each item, in order, with the return value of `write` or the `refused` exception that a step raised.
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
                    ready = future.result()
                    read_next()
                    result = compute(item, ready)
                    del ready
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

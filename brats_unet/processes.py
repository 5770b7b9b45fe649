"""Run one function over many arguments in processes."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from brats_unet.errors import MachineError

Argument = TypeVar("Argument")
Result = TypeVar("Result")

START_SECONDS = 0.8  # of one process, until it has imported what it needs


def map_in_processes(
    function: Callable[[Argument], Result],
    arguments: Sequence[Argument],
    *,
    seconds_each: float,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """`[function(a) for a in arguments]`, in fresh processes where there is enough to do.

    Args:
        function: See `in_processes`.
        arguments: Likewise.
        seconds_each: Likewise.
        workers: Likewise.
        progress: Called with (done, total) after each.
    """
    log = progress or (lambda done, total: None)
    results: dict[int, Result] = {}
    for index, result in in_processes(function, arguments, seconds_each=seconds_each, workers=workers):
        results[index] = result
        log(len(results), len(arguments))
    return [results[index] for index in range(len(arguments))]


def in_processes(
    function: Callable[[Argument], Result], arguments: Sequence[Argument], *, seconds_each: float, workers: int = 0
) -> Iterator[tuple[int, Result]]:
    """(index, function(arguments[index])) as each is done, in fresh processes where there is enough to do.

    Args:
        function: Of the top level of a module, so that it can be sent.
        arguments: Small: paths, not arrays.
        seconds_each: About how long one takes: as many processes are started as pay for their own start.
        workers: Processes at most; 0 takes one a core.

    Raises:
        MachineError: A process was ended from outside, as Linux does when memory runs out.
    """
    if workers < 0:
        raise ValueError(f"Workers are counted from 0 (one a core), not {workers}.")
    workers = min(workers or cores(), len(arguments), int(seconds_each * len(arguments) / START_SECONDS))
    if workers <= 1:
        yield from ((index, function(argument)) for index, argument in enumerate(arguments))
        return
    # "spawn", because a process that has run TensorFlow or threads does not survive a fork.
    context = multiprocessing.get_context("spawn")
    # Ctrl-C reaches every process; the workers finish what they have in hand and leave the word to this one.
    with ProcessPoolExecutor(workers, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            futures = {pool.submit(function, argument): index for index, argument in enumerate(arguments)}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise MachineError(
                f"One of {workers} processes at work side by side was ended from outside: most often Linux does so "
                f"because memory ran out. Run again with fewer: workers=1 where the command has it, or taskset -c 0 "
                f'before it. In a script of your own, start the work below if __name__ == "__main__".'
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

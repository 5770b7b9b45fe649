"""Run one function over many arguments in processes."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

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
        function: Of the top level of a module, so that it can be sent.
        arguments: Small: paths, not arrays.
        seconds_each: About how long one takes: as many processes are started as pay for their own start.
        workers: Processes at most; 0 takes one a core.
        progress: Called with (done, total) after each.
    """
    if workers < 0:
        raise ValueError(f"Workers are counted from 0 (one a core), not {workers}.")
    workers = min(workers or cores(), len(arguments), int(seconds_each * len(arguments) / START_SECONDS))
    say = progress or (lambda done, total: None)
    if workers <= 1:
        results = []
        for argument in arguments:
            results.append(function(argument))
            say(len(results), len(arguments))
        return results
    # "spawn", because a process that has run TensorFlow or threads does not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(function, argument) for argument in arguments]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                say(done, len(futures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

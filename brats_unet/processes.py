"""Apply one function to many arguments in parallel processes."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from brats_unet.errors import MachineError
from brats_unet.stopping import SIGNALS

Argument = TypeVar("Argument")
Result = TypeVar("Result")

START_SECONDS = 0.8  # to start one process, imports included


def map_in_processes(
    function: Callable[[Argument], Result],
    arguments: Sequence[Argument],
    *,
    seconds_each: float,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """`[function(a) for a in arguments]`, in new processes if the work takes long enough.

    Args:
        function: A module-level function, as `in_processes` requires.
        arguments: Small objects, such as paths; arrays would be slow to send.
        seconds_each: Estimated seconds per call.
        workers: Most processes to start; 0 means one per core.
        progress: Called with (done, total) after each result.

    Raises:
        MachineError: The system killed a process, as Linux does when memory runs out.
    """
    report = progress or (lambda done, total: None)
    results: dict[int, Result] = {}
    for index, result in in_processes(function, arguments, seconds_each=seconds_each, workers=workers):
        results[index] = result
        report(len(results), len(arguments))
    return [results[index] for index in range(len(arguments))]


def in_processes(
    function: Callable[[Argument], Result], arguments: Sequence[Argument], *, seconds_each: float, workers: int = 0
) -> Iterator[tuple[int, Result]]:
    """Yield (index, function(arguments[index])) as results arrive, from new processes if the work takes long enough.

    Args:
        function: A module-level function, so that it can be pickled.
        arguments: Small objects, such as paths; arrays would be slow to send.
        seconds_each: Estimated seconds per call. No more processes are started than there are `START_SECONDS` of work;
            with one or none, the calls run in this process.
        workers: Most processes to start; 0 means one per core.

    Raises:
        MachineError: The system killed a process, as Linux does when memory runs out.
    """
    if workers < 0:
        raise ValueError(f"workers={workers}: expected 0 (one per core) or more.")
    workers = min(workers or cores(), len(arguments), int(seconds_each * len(arguments) / START_SECONDS))
    if workers <= 1:
        yield from ((index, function(argument)) for index, argument in enumerate(arguments))
        return
    # "spawn", because a process that runs TensorFlow or threads cannot be forked safely.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin) as pool:
        try:
            futures = {pool.submit(function, argument): index for index, argument in enumerate(arguments)}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise MachineError(
                f"One of {workers} parallel processes was killed, most often by Linux because memory ran out. "
                f"Run again with fewer processes: workers=1 if the command has it, else `taskset -c 0 brats-unet …`. "
                f'In your own script, put the call below `if __name__ == "__main__":`.'
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _begin() -> None:
    """What a worker process does first.

    Ctrl-C and the signals of a scheduler reach every process. The workers ignore them and finish their current call;
    the process that started them handles the signals. If that one is killed, its workers end too.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True, name="end with parent").start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""How a command works with other processes: they meet, compare their versions, and stop together."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

from brats_unet import __version__
from brats_unet.distributed.cluster import cluster_of
from brats_unet.distributed.meeting import meet
from brats_unet.distributed.workers import DEADLINE_SECONDS, GRACE_SECONDS, Workers
from brats_unet.errors import BratsError, Interrupted, LostWorkerError

PACKAGES = ("tensorflow", "keras", "numpy")  # of one version on all workers, as brats-unet itself


@contextmanager
def joined(
    wanted: bool, *, deadline_seconds: float = DEADLINE_SECONDS, log: Callable[[str], None]
) -> Iterator[Workers]:
    """The workers of this command, connected, with equal versions of brats-unet and of what computes.

    At the end of the block, all wait for one another. If the block raises on one of them, the others stop with its
    sentence.

    Args:
        wanted: Whether there are others; False gives a process that is alone.
        deadline_seconds: How long the others may be late or silent.
        log: Called with a sentence for the user.

    Raises:
        MachineError: A worker does not come, or nothing says which workers there are.
        SettingsError: Versions differ, or TF_CONFIG cannot be used.
        LostWorkerError: A worker was lost while the block ran.
    """
    if not wanted:
        yield Workers()
        return
    cluster = cluster_of(os.environ)
    addresses, lines = meet(cluster, deadline_seconds, log)
    workers = Workers(cluster.index, addresses, lines, deadline_seconds)
    try:
        workers.agree("versions", _versions(), "Install the same versions on every worker.")
        try:
            yield workers
        except Interrupted:  # all stop at the same step
            workers.gather("end", None, patient=True)
            workers.leave()
            raise
        workers.gather("end", None, patient=True)
        workers.leave()
    except (BratsError, KeyboardInterrupt) as problem:
        workers.fail(str(problem) or "it was stopped.", getattr(problem, "exit_code", Interrupted.exit_code))
        raise
    except BaseException as problem:
        if failure := _of_another_worker(workers, problem):
            workers.fail(str(failure), failure.exit_code)
            raise failure from None
        workers.fail(f"{type(problem).__name__}: {problem}".splitlines()[0], BratsError.exit_code)
        raise


def _of_another_worker(workers: Workers, problem: BaseException) -> BratsError | None:
    """The failure of another worker behind an error of TensorFlow, which may notice it first; None if there is none."""
    if workers.count == 1 or not type(problem).__module__.startswith("tensorflow"):
        return None
    if failure := workers.failure_within(GRACE_SECONDS):
        return failure
    lost = re.search(r"/job:worker(?:/replica:0)?/task:(\d+)", str(problem))
    if type(problem).__name__ != "UnavailableError" or lost is None:
        return None
    return LostWorkerError(
        f"{workers.name(int(lost[1]))} sends TensorFlow no sign of life. Its process is stopped or its machine "
        f"cannot be reached. Start all workers again with the same command to continue."
    )


def _versions() -> dict[str, str]:
    found = {"brats-unet": __version__}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):  # predicting with an exported network needs no TensorFlow
            found[name] = version(name)
    return found

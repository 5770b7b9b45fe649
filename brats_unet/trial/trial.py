"""A few real training steps on noise, in a separate process: whether they fit, how long they take, their peak memory.

    python -m brats_unet.trial.trial < request.json

The request is {"settings": settings of train, "steps": number of timed steps, "largest": voxels of the largest volume
along x, y, z, "measure": seconds for loader and augmentation, 0 to skip them}. The answer, a `Trial` as JSON, is the
last line of stdout. A separate process can run out of memory without ending the command that asked.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from brats_unet.binding import bind
from brats_unet.errors import BratsError, MachineError
from brats_unet.hardware import quiet_tensorflow
from brats_unet.settings import Train

NO_MEMORY = ("ResourceExhausted", "OOM", "MemoryError", "bad_alloc", "Unable to allocate", "failed to allocate")


@dataclass(frozen=True)
class Trial:
    """Time and memory of a few training steps.

    Attributes:
        fits: Whether the steps ran; if not, all other attributes keep their defaults.
        seconds: Median time of a step, after warm-up.
        first_seconds: Time of the first step, which traces and compiles the graph.
        peak_bytes: Peak memory of the process, or of the fullest GPU.
        parameters: Number of weights of the network.
        precision: "float32", "bfloat16" or "float16".
        devices: The devices in words, such as "CPU, 2 cores".
        replicas: Number of devices that shared the batch.
        augmentation_seconds: Time to augment one replica's patches, by itself; 0 if not measured.
        loader_rate: Patches per second of the data pipeline, by itself; 0 if not measured.
    """

    fits: bool
    seconds: float = 0.0
    first_seconds: float = 0.0
    peak_bytes: int = 0
    parameters: int = 0
    precision: str = ""
    devices: str = ""
    replicas: int = 1
    augmentation_seconds: float = 0.0
    loader_rate: float = 0.0


def trial_in_subprocess(
    settings: Train,
    *,
    largest: Sequence[int],
    steps: int = 3,
    measure_seconds: float = 0,
    timeout_seconds: float = 900,
) -> Trial:
    """Run a warm-up and `steps` timed training steps with these settings in a new process.

    Args:
        settings: Settings of the training; its data are not read.
        largest: Voxels of the largest prepared volume along x, y, z; limits the margin that augmentation reads.
        steps: Number of timed steps, 1 or more.
        measure_seconds: Seconds for which loader and augmentation are each timed as well; 0 skips them.
        timeout_seconds: A trial that takes longer counts as not fitting.

    Raises:
        MachineError: The process failed for another reason than memory; the message holds its last line of stderr.
    """
    request = json.dumps(
        {"settings": asdict(settings), "steps": steps, "largest": list(largest), "measure": measure_seconds}
    )
    command = [sys.executable, "-m", "brats_unet.trial.trial"]
    try:
        done = subprocess.run(
            command, input=request, capture_output=True, text=True, check=False, timeout=timeout_seconds
        )
    except subprocess.TimeoutExpired:
        return Trial(fits=False)
    if done.returncode == 0:
        return Trial(**json.loads(done.stdout.strip().splitlines()[-1]))
    if done.returncode in (-signal.SIGKILL, -signal.SIGABRT) or any(word in done.stderr for word in NO_MEMORY):
        return Trial(fits=False)
    last_line = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}, no message"])[-1]
    raise MachineError(f"A trial step of the training failed: {last_line.removeprefix('error: ')}")


def main() -> int:
    """Read the request from stdin, run the trial, and print the answer; the exit code."""
    request = json.load(sys.stdin)
    try:
        answer = run_trial(
            bind(Train, request["settings"]), request["steps"], request["largest"], request.get("measure", 0)
        )
    except BratsError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return problem.exit_code
    print(json.dumps(asdict(answer)))
    return 0


def run_trial(settings: Train, steps: int, largest: Sequence[int], measure_seconds: float = 0) -> Trial:
    """Run and time the steps in this process; then augmentation and loader if `measure_seconds` is not 0."""
    with quiet_tensorflow():
        from brats_unet.trial.loader_rate import loader_rate
        from brats_unet.trial.timed_step import step_parts
    parts = step_parts(settings, largest)
    first = parts.timed_step()
    parts.warm()
    times = sorted(parts.timed_step() for _ in range(steps))
    peak_bytes = parts.device_peak_bytes() or 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Trial(
        fits=True,
        seconds=times[steps // 2],
        first_seconds=first,
        peak_bytes=peak_bytes,
        parameters=parts.model.count_params(),
        precision=parts.devices.precision,
        devices=parts.devices.description,
        replicas=parts.devices.replicas,
        augmentation_seconds=parts.timed_augmentation(measure_seconds) if measure_seconds else 0.0,
        loader_rate=loader_rate(settings, parts.augmentation.margin, measure_seconds) if measure_seconds else 0.0,
    )


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # do not wait for prefetching threads: the answer is printed

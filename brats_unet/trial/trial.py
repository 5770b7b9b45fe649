"""A few real training steps on noise, in a process of their own: whether they fit, how long they take, what they hold.

    python -m brats_unet.trial.trial < request.json

The request is {"settings": those of train, "steps": how many, "largest": voxels of the largest volume along each axis};
the answer, the last line of stdout, is that of `tried`. A process that dies of too little memory takes no one with it.
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
    """What a few steps took.

    Attributes:
        fits: Whether they ran; the rest is 0 if not.
        seconds: Of a step, the median once transforms have been compiled.
        first_seconds: Of the first, which traces and compiles the graph.
        peak_bytes: Most memory held: of the process, or of the fullest GPU.
        parameters: Weights of the network.
        precision: Of the arithmetic.
        devices: What computed, in words.
        replicas: Devices that shared the batch.
        augmentation_seconds: Of one replica's patches, alone; 0 if not asked for.
        loader_rate: Patches a second that the data path reads, alone; 0 if not asked for.
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
    """Run `steps` training steps, and some before them that do not count, with these settings in a fresh process.

    Args:
        settings: Of the training; its data are not touched.
        largest: Voxels of the largest prepared volume along x, y, z: augmentation reads no wider than that.
        steps: That are timed, 1 or more.
        measure_seconds: For how long loader and augmentation are timed as well; 0 leaves them out.
        timeout_seconds: A trial that takes longer counts as one that does not fit.

    Raises:
        MachineError: The process ended for another reason than memory; its last words are in the message.
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
    words = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
    raise MachineError(f"A trial step of the training failed: {words.removeprefix('error: ')}")


def main() -> int:
    """Answer the request on stdin."""
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
    """The steps, in this process; then augmentation and loader, if they are asked for."""
    with quiet_tensorflow():
        from brats_unet.trial.loader_rate import loader_rate
        from brats_unet.trial.timed_step import step_parts
    parts = step_parts(settings, largest)
    first = parts.timed_step()
    parts.warm()
    took = sorted(parts.timed_step() for _ in range(steps))
    peak_bytes = parts.device_peak_bytes() or 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Trial(
        fits=True,
        seconds=took[steps // 2],
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
    os._exit(code)  # the answer is given: no thread that still reads ahead shall keep the asker waiting

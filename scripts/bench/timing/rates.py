"""What the device can do at best: the rate of large matrix products and of copies, measured with TensorFlow.

    python scripts/bench/timing/rates.py [--device cpu] [--size 8192] [--gib 1] [--seconds 1] PRECISION…

The size is the edge of the square matrices; --gib is the size of the array that is copied. A copy reads it and writes
another. Measures for at least --seconds each. Prints JSON: description of the device, operations per second by
precision, bytes per second (read and written), and versions.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any


def rate(work: float, once: Callable[[Any], Any], start: Any, seconds: float) -> float:
    """Work per second of a function whose result is its next input, repeated for at least `seconds`.

    Args:
        work: Work of one call.
        once: The function; it may return before the device has finished.
        start: First input, a tensor.
        seconds: Time to measure, after a warm-up.
    """

    def timed(count: int) -> float:
        value = start
        begun = time.perf_counter()
        for _ in range(count):
            value = once(value)
        float(value[(0,) * len(value.shape)])  # waits for the device
        return time.perf_counter() - begun

    timed(2)
    count = 4
    while (taken := timed(count)) < seconds:
        count *= 2
    return work * count / taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("precisions", nargs="+", metavar="PRECISION", help="float32, bfloat16 or float16")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="what is measured")
    parser.add_argument("--size", type=int, default=8192, help="edge of the matrices")
    parser.add_argument("--gib", type=float, default=1, help="size of the copied array")
    parser.add_argument("--seconds", type=float, default=1, help="time of each measurement")
    args = parser.parse_args()
    from brats_unet.hardware import quiet_tensorflow

    with quiet_tensorflow():
        import keras
        import tensorflow as tf

        from brats_unet.training.strategy import choose_devices

        devices = choose_devices(device=args.device, precision="auto", jit="off", replicas=None)
    flops = {}
    for precision in args.precisions:
        # Entries of variance 1/size keep the product of the two as large as the first.
        left, right = (tf.cast(tf.random.stateless_normal([args.size] * 2, [0, key]), precision) for key in (1, 2))
        right *= tf.cast(args.size**-0.5, precision)
        flops[precision] = rate(2 * args.size**3, lambda x, right=right: tf.matmul(x, right), left, args.seconds)
    array = tf.zeros([round(args.gib * 2**28)])
    copied = rate(2 * 4 * int(array.shape[0]), lambda x: x + 1.0, array, args.seconds)
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
    result = {"device": devices.description, "precision": devices.precision, "versions": versions}
    print(json.dumps({**result, "matrix_flops_per_second": flops, "copy_bytes_per_second": copied}))


if __name__ == "__main__":
    main()

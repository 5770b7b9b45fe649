"""How many patches per second the data pipeline reads, measured on generated noise cases; needs no data."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from brats_unet.data.patches.pipeline import batches
from brats_unet.data.patches.sampling import Sampler
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.files import existing_parent
from brats_unet.schemes.scheme_file import scheme_of
from brats_unet.settings import Train
from brats_unet.trial.noise_cases import noise_case

CASES = 3


def loader_rate(settings: Train, margin: Sequence[int], seconds: float) -> float:
    """Patches per second, read from disk for `seconds`; the noise cases are written beside the cache, then deleted."""
    preparation = Preparation.of(settings.data.modalities, settings.data.preparation, settings.data.files)
    sampling = settings.sampling
    x, y, z = sampling.patch
    a, b, c = margin
    with tempfile.TemporaryDirectory(
        prefix=".brats-unet-doctor-", dir=existing_parent(Path(settings.data.cache))
    ) as folder:
        scheme = scheme_of(settings.scheme)
        cases = [noise_case(Path(folder), index, preparation, scheme) for index in range(CASES)]
        sampler = Sampler(
            cases, (x, y, z), sampling.batch, sampling.foreground, None, 0, (a, b, c), overhang=sampling.overhang
        )
        read = iter(batches(sampler, first_step=0, steps=10**6))
        for _ in range(4):  # batches prefetched before the clock starts do not count
            next(read)
        begun, taken = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            next(read)
            taken += sampling.batch
        rate = taken / (time.perf_counter() - begun)
        del read  # stops prefetching before the folder is deleted
    return rate

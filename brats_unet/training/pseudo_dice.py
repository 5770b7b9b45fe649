"""Loss and Dice of random held-out patches during training; a running mean of this Dice chooses the checkpoint "best".

nnU-Net calls this Dice the pseudo-Dice: it is not a mean over cases, because the voxels of all patches count together.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from brats_unet.data.patches.pipeline import read_batch
from brats_unet.data.patches.sampling import Sampler
from brats_unet.distributed.workers import Workers
from brats_unet.losses.loss import Outputs
from brats_unet.metrics.counts import Counts, dice
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.models.checkpoint import State
from brats_unet.run import Run
from brats_unet.schemes.scheme import Scheme
from brats_unet.training.averaging import Average
from brats_unet.training.step import PerSample
from brats_unet.training.tracker import Tracker

KEEP = 0.9  # share of the running mean that one measurement keeps
RULE = PROTOCOLS["nnunet"].dice  # for empty masks


@dataclass(frozen=True)
class PatchScores:
    """Scores of one measurement.

    Attributes:
        loss: Mean loss of the patches; None if it is not finite.
        dice: Dice by region over the voxels of all patches together, 0 to 1; None for a region that is neither in the
            reference nor in the prediction of any patch.
    """

    loss: float | None
    dice: dict[str, float | None]

    @property
    def mean(self) -> float | None:
        """Mean of the regions that have a Dice; None if none has."""
        found = [value for value in self.dice.values() if value is not None]
        return sum(found) / len(found) if found else None


class PatchValidation:
    """Measures held-out patches at regular steps and keeps the running mean of their Dice.

    After each measurement, running mean = 0.9 · running mean + 0.1 · mean Dice; it starts as the first mean Dice. A
    measurement without any region leaves it unchanged.

    Args:
        measure: Scores of measurement 1, 2, …, a function of the weights and of this number.
        every: Number of steps between measurements, 1 or more; there is one more at the end of the run.

    Attributes:
        running_mean: Running mean so far; None before the first measurement. See `best_so_far`.
        is_traced: Whether `measure` was called before: its first call takes longer, because it traces the graph.

    Source:
        nnU-Net 2.8.1, `nnUNetTrainer.on_validation_epoch_end`, `on_epoch_end`, and `ema_fg_dice` of `LocalLogger`.
    """

    def __init__(self, measure: Callable[[int], PatchScores], every: int) -> None:
        self.measure = measure
        self.every = every
        self.running_mean: float | None = None
        self.is_traced = False

    def due(self, done: int, total: int) -> bool:
        """Whether to measure after `done` of `total` steps."""
        return done % self.every == 0 or done >= total

    def validate(self, done: int, best: float | None, run: Run, tracker: Tracker) -> bool:
        """Measure after `done` steps, log the scores, and return whether the running mean is above `best`."""
        started = time.perf_counter()
        scores = self.measure(math.ceil(done / self.every))
        self.is_traced = True
        improved = False
        if (mean := scores.mean) is not None:
            now = mean if self.running_mean is None else KEEP * self.running_mean + (1 - KEEP) * mean
            self.running_mean, improved = now, best is None or now > best
        facts = {"loss": scores.loss, **{f"patch_dice_{region}": value for region, value in scores.dice.items()}}
        facts["patch_dice_running_mean"] = self.running_mean
        tracker.scalars({f"held_out/{name}": value for name, value in facts.items() if value is not None}, done)
        run.note(
            "patches",
            step=done,
            loss=scores.loss,
            dice=scores.dice,
            running_mean_dice=self.running_mean,
            seconds=round(time.perf_counter() - started, 3),
            best=improved,
        )
        return improved


def best_so_far(state: State, patches: PatchValidation | None) -> float | None:
    """The best value to go on with from a checkpoint; None if another quantity chose it, to choose anew.

    Args:
        state: State in the checkpoint; it has a running mean if patches chose.
        patches: What chooses now, which gets the running mean; None for whole volumes.
    """
    if patches is not None:
        patches.running_mean = state.running_mean
    return state.best if (state.running_mean is None) == (patches is None) else None


def patch_measure(
    *,
    model: keras.Model,
    outputs: Outputs,
    scheme: Scheme,
    loss: PerSample,
    sampler: Sampler,
    batches: int,
    at_once: int,
    average: Average | None,
    workers: Workers | None = None,
) -> Callable[[int], PatchScores]:
    """A function that measures the loss and Dice of held-out patches, without augmentation.

    Measurement n takes batches n · `batches` to (n + 1) · `batches` - 1 of the sampler, so it sees the same patches in
    a resumed run. It runs on one device, also if training is mirrored on several: the weights are the same on each.

    Args:
        model: Network to measure; its input is (b, X, Y, Z, M), or (b, X, Y, M) for rank 2.
        outputs: Meaning of its logits.
        scheme: What it segments.
        loss: Loss of training: logits of all heads and labels to one value per sample.
        sampler: Sampler of held-out patches, without a margin, with another seed than that of training.
        batches: Number of batches to measure, 1 or more.
        at_once: Number of patches to compute at once, which divides the batch.
        average: Average whose weights are copied into `model` before each measurement; None to use its own weights.
        workers: The processes that measure together, each some of the batches; None if this one is alone.

    Returns:
        Function of the number of the measurement. A voxel is predicted to be in a region if its probability is above
        0.5.
    """
    two_dimensional = len(model.inputs[0].shape) == 4
    in_region = tf.constant(scheme.predicted_masks(np.arange(256)))

    @tf.function
    def losses_and_counts(images, labels):
        if two_dimensional:
            images, labels = tf.squeeze(images, 3), tf.squeeze(labels, 3)
        heads = model(images, training=False)
        logits = tf.cast(heads[0] if isinstance(heads, list | tuple) else heads, tf.float32)
        chances = tf.sigmoid(logits) if outputs == "regions" else scheme.regions_from_classes(tf.nn.softmax(logits))
        predicted, reference = chances > 0.5, tf.gather(in_region, tf.cast(labels, tf.int32))
        voxels = list(range(len(labels.shape)))
        counts = [
            tf.math.count_nonzero(mask, voxels)
            for mask in (predicted & reference, predicted & ~reference, ~predicted & reference)
        ]
        return tf.reduce_sum(loss(heads, labels)), tf.stack(counts, axis=1)

    together = workers or Workers()

    def batch_losses_and_counts(batch: int) -> tuple[list[float], list[list[int]]]:
        losses, counts = [], np.zeros((len(scheme.predicted), 3), np.int64)
        for first in range(0, sampler.batch, at_once):
            images, labels = read_batch(sampler, batch, np.arange(first, first + at_once))
            part_loss, part_counts = losses_and_counts(tf.constant(images), tf.constant(labels))
            losses.append(float(part_loss))
            counts += part_counts.numpy()
        return losses, counts.tolist()

    def measure(number: int) -> PatchScores:
        if average is not None:
            average.into(model)
        own = [batch_losses_and_counts(i) for i in together.share(range(number * batches, (number + 1) * batches))]
        every = together.in_order(together.gather("validation on patches", own, patient=True))
        total = sum(loss for losses, _ in every for loss in losses)
        counts = np.sum([part for _, part in every], axis=0)
        return PatchScores(
            loss=total / (batches * sampler.batch) if math.isfinite(total) else None,
            dice={region: pooled_dice(*counts[index]) for index, region in enumerate(scheme.predicted)},
        )

    return measure


def pooled_dice(true_positives: int, false_positives: int, false_negatives: int) -> float | None:
    """Dice from the counts of all patches together, 0 to 1; None if all are 0, so that the region has no Dice."""
    value = dice(Counts(int(true_positives), int(false_positives), int(false_negatives), 0), RULE)
    return None if math.isnan(value) else value

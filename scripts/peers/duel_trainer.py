"""nnU-Net's trainer with a shorter schedule, for scripts/duel.py.

Network, loss, optimizer, sampling and augmentation are nnU-Net's. Different are the number of epochs and their length;
the learning rate, which follows the same polynomial but falls at each step instead of each epoch, because there are
few epochs; one validation batch an epoch, whose only use is nnU-Net's log; and a checkpoint after each epoch, written
atomically. The seconds of each epoch are kept in seconds.json beside the checkpoints, so that a resumed training knows
those of its earlier processes.
"""

import json
import time
from pathlib import Path

import torch
from duel_schedule import epochs_of
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class DuelTrainer(nnUNetTrainer):
    """An nnUNetTrainer whose length is a number of steps; see the module."""

    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):  # noqa: B008
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_val_iterations_per_epoch = 1
        self.save_every = 1
        self.steps_done = 0
        self.seconds = []  # of training and of validation, by epoch
        self.begun = 0.0

    def shorten(self, steps):
        """Train for about `steps` steps; call this before anything is loaded or trained."""
        self.num_epochs, self.num_iterations_per_epoch = epochs_of(steps)

    @property
    def seconds_file(self):
        return Path(self.output_folder) / "seconds.json"

    def load_checkpoint(self, filename_or_checkpoint):
        super().load_checkpoint(filename_or_checkpoint)
        self.seconds = json.loads(self.seconds_file.read_text())[: self.current_epoch]

    def save_checkpoint(self, filename):
        super().save_checkpoint(f"{filename}.part")
        Path(f"{filename}.part").replace(filename)

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        self.steps_done = self.current_epoch * self.num_iterations_per_epoch
        self.begun = time.perf_counter()

    def train_step(self, batch):
        self.lr_scheduler.step(self.steps_done / self.num_iterations_per_epoch)  # in epochs
        self.steps_done += 1
        return super().train_step(batch)

    def on_train_epoch_end(self, train_outputs):
        self.seconds.append([round(time.perf_counter() - self.begun, 3), 0.0])
        super().on_train_epoch_end(train_outputs)
        self.begun = time.perf_counter()

    def on_validation_epoch_end(self, val_outputs):
        super().on_validation_epoch_end(val_outputs)
        self.seconds[-1][1] = round(time.perf_counter() - self.begun, 3)
        partial = self.seconds_file.with_suffix(".part")
        partial.write_text(json.dumps(self.seconds))
        partial.replace(self.seconds_file)

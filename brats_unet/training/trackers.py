"""MLflow, Weights & Biases and Trackio as trackers. Where they store is decided by their own environment variables.

Names of the user and the machine are left out where the package allows it, as are its reports of its own usage.
"""

import json
import logging
import os
import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from PIL import Image

from brats_unet.errors import MachineError
from brats_unet.training.tracker import TrackedRun, Tracker

MLFLOW_NUMBERS, MLFLOW_SETTINGS = 1000, 100  # at most, in one request
SECONDS_BETWEEN_REQUESTS = 5.0
MLFLOW_ENDS = {"done": "FINISHED", "paused": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MLflow:
    """Reports to the store of MLFLOW_TRACKING_URI, or to `mlflow.db` in the current folder."""

    def start(self, run: TrackedRun) -> str:
        """Create the run with its settings, or set it to running again."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Param
        from mlflow.exceptions import MlflowException

        logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells how it creates the tables
        self.client, self.numbers = MlflowClient(), list[Any]()
        self.sent = time.monotonic()
        experiment = self.client.get_experiment_by_name(run.project)
        place = self.client.create_experiment(run.project) if experiment is None else experiment.experiment_id
        self.id = ""
        if run.id is not None:
            try:
                self.client.update_run(run.id, status="RUNNING")
                self.id = run.id
            except MlflowException as problem:
                if problem.error_code != "RESOURCE_DOES_NOT_EXIST":  # in another store
                    raise
        if not self.id:
            self.id = self.client.create_run(place, run_name=run.name).info.run_id
            run.remember(self.id)
            texts = {key: one if isinstance(one, str) else json.dumps(one) for key, one in run.settings.items()}
            told = [Param(key, text) for key, text in texts.items()]
            for first in range(0, len(told), MLFLOW_SETTINGS):
                self.client.log_batch(self.id, params=told[first : first + MLFLOW_SETTINGS])
        self.client.log_text(self.id, run.text, "settings.yaml")
        return f"run {run.name} of the experiment {run.project}; without a server, `mlflow ui` here shows it"

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Record numbers, in one request for many."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.numbers += [Metric(name, value, now, step) for name, value in values.items()]
        if len(self.numbers) >= MLFLOW_NUMBERS or time.monotonic() - self.sent >= SECONDS_BETWEEN_REQUESTS:
            self._send()

    def picture(self, name: str, png: bytes, step: int) -> None:
        """Record a picture, and the numbers so far."""
        self._send()
        self.client.log_image(self.id, Image.open(BytesIO(png)).convert("RGB"), key=name, step=step)

    def finish(self, end: str) -> None:
        """Record the last numbers and the status."""
        self._send()
        self.client.set_terminated(self.id, MLFLOW_ENDS[end])

    def _send(self) -> None:
        while self.numbers:
            self.client.log_batch(self.id, metrics=self.numbers[:MLFLOW_NUMBERS])
            del self.numbers[:MLFLOW_NUMBERS]
        self.sent = time.monotonic()


class WeightsAndBiases:
    """Reports to wandb.ai or the server of WANDB_BASE_URL; with WANDB_MODE=offline only to the folder `wandb` here."""

    def start(self, run: TrackedRun) -> str:
        """Create or continue the run."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        offline = wandb.setup().settings.mode != "online"
        if not offline and not wandb.login(prompt=False):  # a question would be lost below the progress bar
            raise MachineError("no login is known. Run `wandb login` once, or set WANDB_MODE=offline")
        self.image = wandb.Image
        self.run = wandb.init(
            project=run.project,
            name=run.name,
            id=run.id,
            resume="allow",
            allow_val_change=True,  # of settings that may change on resume
            config=dict(run.settings),
            settings=wandb.Settings(
                silent=True,
                console="off",
                host="",
                disable_git=True,
                disable_code=True,
                x_disable_meta=True,
                x_disable_machine_info=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )
        run.remember(self.run.id)
        # Its own steps may only rise; those of a training repeat after a return to a checkpoint.
        self.run.define_metric("step", hidden=True)
        self.run.define_metric("*", step_metric="step")
        return "offline in the folder wandb; `wandb sync` sends it" if offline else str(self.run.url)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Record numbers."""
        self.run.log({**values, "step": step})

    def picture(self, name: str, png: bytes, step: int) -> None:
        """Record a picture."""
        self.run.log({name: self.image(Image.open(BytesIO(png))), "step": step})

    def finish(self, end: str) -> None:
        """Record the end, and wait until all is sent."""
        self.run.summary["end"] = end
        self.run.finish(exit_code=1 if end == "failed" else 0)


class Trackio:
    """Reports to a database of this machine, or to the server of TRACKIO_SPACE_ID or TRACKIO_SERVER_URL."""

    def start(self, run: TrackedRun) -> str:
        """Create the run, or continue the latest of its name."""
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import trackio
        import trackio.run
        import trackio.utils

        for module in (trackio, trackio.run, trackio.utils):
            vars(module)["print"] = lambda *texts, **options: None  # stdout holds one JSON document with json=true
        self.image = trackio.Image
        self.run = trackio.init(
            run.project,
            run.name,
            config=dict(run.settings),
            resume="never" if run.id is None else "allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        run.remember(run.name)
        return f"`trackio show --project {run.project}` shows it"

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Record numbers."""
        self.run.log(dict(values), step=step)

    def picture(self, name: str, png: bytes, step: int) -> None:
        """Record a picture."""
        self.run.log({name: self.image(Image.open(BytesIO(png)))}, step=step)

    def finish(self, end: str) -> None:
        """Record the end, and wait until all is written."""
        self.run.finish()


TRACKERS: dict[str, type[Tracker]] = {"mlflow": MLflow, "wandb": WeightsAndBiases, "trackio": Trackio}

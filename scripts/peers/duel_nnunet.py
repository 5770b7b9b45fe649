"""One stage of nnU-Net's side of scripts/duel.py, which runs it: prepare, time, train, predict or postprocess.

    .venv-peers/bin/python scripts/peers/duel_nnunet.py STAGE '{"configuration": "2d", "fold": 0, …}'

Everything is done by nnU-Net's own functions, as its commands call them. The facts of the stage are written as JSON to
the file "answer" of the options; nnU-Net's own words go to standard output.
"""

import json
import os
import shutil
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import nnunetv2.inference.predict_from_raw_data as prediction
import nnunetv2.run.run_training as training
import torch
from duel_schedule import UNTIMED, steps_within, warmed_up
from duel_trainer import DuelTrainer
from nnunetv2.experiment_planning.plan_and_preprocess_api import (
    extract_fingerprint_dataset,
    plan_experiment_dataset,
    preprocess_dataset,
)
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from nnunetv2.postprocessing.remove_connected_components import determine_postprocessing
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

NUMBER, PLANS = 1, "nnUNetPlans"
# To find a trainer by its name, nnU-Net imports all of its own; some need packages that .venv-peers leaves out.
training.recursive_find_trainer_class_by_name = prediction.recursive_find_trainer_class_by_name = lambda name: (
    DuelTrainer
)


def base(folder, options):
    """The folder of the duel's data set in one of nnU-Net's three folders."""
    return Path(os.environ[folder]) / options["dataset"]


def configuration_of(options):
    """Name of the configuration with the batch that is asked for; it is added to the plans if it is not there yet."""
    file = base("nnUNet_preprocessed", options) / f"{PLANS}.json"
    if options["batch"] is None:
        return options["configuration"]
    name = f"{options['configuration']}_b{options['batch']}"
    plans = json.loads(file.read_text())
    if name not in plans["configurations"]:
        plans["configurations"][name] = {"inherits_from": options["configuration"], "batch_size": options["batch"]}
        file.write_text(json.dumps(plans, indent=4))
    return name


def device_of(options):
    return torch.device("cuda" if options["device"] == "gpu" else "cpu")


def trainer_of(options, *, resume=False):
    return training.get_trainer_from_args(
        options["dataset"],
        configuration_of(options),
        options["fold"],
        DuelTrainer.__name__,
        PLANS,
        resume,
        device=device_of(options),
    )


def prepare(options):
    """Fingerprint, plans and preprocessed cases of the raw data; our folds in splits_final.json."""
    folder, threads = base("nnUNet_preprocessed", options), options["threads"]
    verify_dataset_integrity(str(base("nnUNet_raw", options)), threads)
    begun = time.perf_counter()
    extract_fingerprint_dataset(NUMBER, num_processes=threads)
    plan_experiment_dataset(NUMBER)
    preprocess_dataset(NUMBER, PLANS, [options["configuration"]], [threads])
    seconds = time.perf_counter() - begun
    (folder / "splits_final.json").write_text(json.dumps(options["splits"], indent=4))
    return {
        "seconds": round(seconds, 1),
        "versions": {name: version(name) for name in ("nnunetv2", "batchgeneratorsv2", "numpy")}
        | {"torch": torch.__version__},
    }


def time_steps(options):
    """Duration of a step with its batch, and the number of steps that end within the minutes."""
    trainer = trainer_of(options)
    trainer.shorten(1000)  # any number: the weights are thrown away
    trainer.on_train_start()
    trainer.on_train_epoch_start()
    for _ in range(UNTIMED):
        trainer.train_step(next(trainer.dataloader_train))
    timed, seconds, begun = 0, 0.0, time.perf_counter()
    while not warmed_up(timed, seconds, options["minutes"]):
        trainer.train_step(next(trainer.dataloader_train))
        timed, seconds = timed + 1, time.perf_counter() - begun
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        loader._finish()  # as nnU-Net does at the end of a training
    shutil.rmtree(base("nnUNet_results", options))
    each = seconds / timed
    return {"seconds_per_step": round(each, 4), "timed_steps": timed, "steps": steps_within(options["minutes"], each)}


def train(options):
    """Train, or resume from the last checkpoint."""
    trainer = trainer_of(options, resume=True)
    trainer.shorten(options["steps"])
    training.maybe_load_checkpoint(trainer, continue_training=True, validation_only=False)
    trainer.run_training()
    plan = trainer.configuration_manager
    return {
        "steps": trainer.num_epochs * trainer.num_iterations_per_epoch,
        "epochs": trainer.num_epochs,
        "training_seconds": round(sum(one for one, _ in trainer.seconds), 1),
        "validation_seconds": round(sum(one for _, one in trainer.seconds), 1),
        "batch": plan.batch_size,
        "patch": list(map(int, plan.patch_size)),
        "spacing_mm": list(map(float, plan.spacing)),
        "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
        "loader_processes": get_allowed_n_proc_DA(),
    }


def predict(options):
    """Predict the held-out cases that have no mask yet, by nnU-Net's default: tiles, all mirrorings."""
    trained = base("nnUNet_results", options) / f"{DuelTrainer.__name__}__{PLANS}__{configuration_of(options)}"
    predictor = prediction.nnUNetPredictor(device=device_of(options), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(trained), (options["fold"],), "checkpoint_final.pth")
    raw, output = base("nnUNet_raw", options) / "imagesTr", Path(options["predictions"])
    files = [
        [str(raw / f"{case}_{channel:04}.nii.gz") for channel in range(options["channels"])]
        for case in options["cases"]
    ]
    todo = sum(not (output / f"{case}.nii.gz").exists() for case in options["cases"])
    processes = min(3, options["threads"])  # 3 is the default of nnUNetv2_predict
    begun = time.perf_counter()
    predictor.predict_from_files(
        files,
        str(output),
        overwrite=False,
        num_processes_preprocessing=processes,
        num_processes_segmentation_export=processes,
    )
    return {"seconds": round(time.perf_counter() - begun, 1), "cases": todo, "mirroring": "all"}


def postprocess(options):
    """Let nnU-Net decide on these predictions whether keeping the largest component raises the Dice, and apply it."""
    predictions = Path(options["predictions"])
    shutil.rmtree(predictions / "postprocessed", ignore_errors=True)
    (predictions / "summary.json").unlink(missing_ok=True)
    references = base("nnUNet_preprocessed", options) / "gt_segmentations"
    determine_postprocessing(str(predictions), str(references), None, None, options["threads"])
    found = json.loads((predictions / "postprocessing.json").read_text())
    return {"rules": found["postprocessing_fns"], "on": found["postprocessing_kwargs"]}


STAGES = {"prepare": prepare, "time": time_steps, "train": train, "predict": predict, "postprocess": postprocess}


def main():
    stage, options = sys.argv[1], json.loads(sys.argv[2])
    torch.set_num_threads(options["threads"])
    warnings.filterwarnings("ignore")
    facts = STAGES[stage](options)
    Path(options["answer"]).write_text(json.dumps(facts))


if __name__ == "__main__":  # nnU-Net's processes import this file
    main()

"""All commands on small phantoms: train, resume, evaluate, predict; and a perfect predictor scores perfectly."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from brats_unet.cli.main import main
from brats_unet.data.prepare.preprocess import Preparation, prepare
from brats_unet.data.readers.discovery import find_cases
from brats_unet.evaluation.record import read_facts
from brats_unet.evaluation.score import Pair, score_cases
from brats_unet.modality import Modality
from brats_unet.nifti import read_header, read_integers, write_volume
from brats_unet.run import Run
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Volume
from tests.glioma import labels_from_regions, region_masks

TINY = [
    "experiment=quick",
    "data=brats",
    "data.folds=2",
    "data.preparation.spacing_mm=[5,5,5]",
    "model.features=[4,8]",
    "model.strides=[1,2]",
    "sampling.patch=[16,16,16]",
    "inference.overlap=0.25",
    "validation.patches_every=2",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory, phantom_root):
    """A folder with a run of four steps without interruption, and its settings."""
    folder = tmp_path_factory.mktemp("place")
    common = [*TINY, f"data.root={phantom_root}", f"data.cache={folder / 'cache'}", f"runs={folder / 'runs'}"]
    assert main(["train", *common, "name=straight", "steps=4", "validation.every=0.5"]) == 0
    return folder, common


@pytest.fixture(scope="module")
def float32(place):
    """Settings of a run of three steps in float32; with them `runs/float32` was trained on one device."""
    _, common = place
    told = [*common, "steps=3", "validation.every=1", "hardware.precision=float32"]
    assert main(["train", *told, "name=float32"]) == 0
    return told


def losses(run):
    return [line["loss"] for line in run.journal("step")]


def test_stopping_and_resuming_gives_the_same_bits_as_training_without_interruption(place, monkeypatch):
    folder, common = place
    from brats_unet.assembly import training_parts as assembly
    from brats_unet.commands import train as command

    real_train, real_step = command.train, assembly.build_step

    def stopping(**given):
        import signal

        shown = given["display"].step

        def step(number, *facts):
            shown(number, *facts)
            if number == 2:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(given["display"], "step", step)
        return real_train(**given)

    monkeypatch.setattr(command, "train", stopping)
    assert main(["train", *common, "name=stopped", "steps=4", "validation.every=0.5"]) == 75
    monkeypatch.setattr(command, "train", real_train)
    assert assembly.build_step is real_step
    assert main(["train", *common, "name=stopped", "steps=4", "validation.every=0.5"]) == 0
    straight, stopped = Run(folder / "runs" / "straight"), Run(folder / "runs" / "stopped")
    assert losses(stopped) == losses(straight)
    for which in ("last", "best"):
        one, other = (run.checkpoint_file(which).read_bytes() for run in (straight, stopped))
        assert one == other
    assert [(line["step"], line["loss"], line["dice"]) for line in straight.journal("patches")] == [
        (line["step"], line["loss"], line["dice"]) for line in stopped.journal("patches")
    ]
    assert [line["step"] for line in stopped.journal("patches")] == [2, 4]


def test_a_finished_run_reports_the_best_dice_of_patches_which_chose_the_best_checkpoint(place, capsys):
    folder, common = place
    capsys.readouterr()
    assert main(["train", *common, "name=straight", "steps=4", "validation.every=0.5", "json=true"]) == 0
    result, run = json.loads(capsys.readouterr().out), Run(folder / "runs" / "straight")
    best = max(line["running_mean_dice"] for line in run.journal("patches"))
    assert (result["best_mean_dice"], result["best_patch_dice"]) == (None, best)
    assert not any(line["best"] for line in run.journal("validation")) and run.checkpoint_file("best").exists()


def test_whole_volumes_choose_the_best_checkpoint_of_a_run_by_the_rules_of_version_1(place, capsys):
    folder, common = place
    told = ["name=by_volumes", "rules=1", "steps=1", "validation.every=1", "json=true"]
    assert main(["train", *common, *told]) == 0
    result, run = json.loads(capsys.readouterr().out), Run(folder / "runs" / "by_volumes")
    (validation,) = run.journal("validation")
    mean = sum(validation["dice"].values()) / 3
    assert (result["best_mean_dice"], result["best_patch_dice"]) == (pytest.approx(mean), None)
    assert run.journal("patches") == [] and validation["best"] and run.checkpoint_file("best").exists()


def test_a_step_with_a_spike_is_left_out_and_said_and_again_by_the_same_command(place, monkeypatch, capsys):
    folder, common = place
    from brats_unet.commands import train as command

    real = command.training_step

    def training_step(*given, **options):
        step = real(*given, **options)

        def spiking(index, *batch):
            loss, norm = step(index, *batch)
            return (loss * float("nan") if int(index) == 2 else loss), norm

        return spiking

    monkeypatch.setattr(command, "training_step", training_step)
    told = [*common, "steps=4", "validation.every=0.5"]
    assert main(["train", *told, "name=spike"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Step 3: the loss is nan; the batch was cut from" in said
    assert "The run goes back to step 2 and leaves out step 3 (1 of at most 3 times)." in said
    assert "Trained 4 steps, but left out 3 (loss or gradient not finite):" in said
    assert main(["train", *told, "name=spike_again", "json=true"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out_steps"] == [3]
    spike, again = Run(folder / "runs" / "spike"), Run(folder / "runs" / "spike_again")
    one, other = (run.checkpoint_file("last").read_bytes() for run in (spike, again))
    assert one == other
    assert [line["step"] for line in spike.journal("step")] == [1, 2, 4]
    assert losses(spike)[:2] == losses(Run(folder / "runs" / "straight"))[:2]


def test_other_settings_for_an_existing_run_are_refused_and_listed(place, capsys):
    _, common = place
    assert main(["train", *common, "name=straight", "steps=4", "sampling.foreground=0.5", "validation.every=0.5"]) == 2
    assert "sampling.foreground: 0.333 in the run, 0.5 now" in capsys.readouterr().err


def test_a_checkpoint_of_another_network_is_refused_and_its_layers_are_named(place, capsys):
    folder, common = place
    init = f"init={folder / 'runs' / 'straight'}"
    assert main(["train", *common, "name=other", "steps=1", "model.features=[4,12]", init]) == 2
    assert "encoder_1_conv_0/bias" in capsys.readouterr().err


def test_init_starts_from_the_weights_of_another_run(place):
    folder, common = place
    first = Run(folder / "runs" / "straight")
    init = f"init={first.folder}"
    assert main(["train", *common, "name=tuned", "steps=1", init, "optimizer.learning_rate=0"]) == 0
    from safetensors.numpy import load_file

    weights = [load_file(Run(folder / "runs" / name).checkpoint_file("last")) for name in ("straight", "tuned")]
    for key in weights[0]:
        if key.startswith("weights/"):
            assert np.array_equal(weights[0][key], weights[1][key]), key


def test_evaluate_scores_the_held_out_cases_of_a_run_and_draws_them(place, capsys):
    folder, _ = place
    run = Run(folder / "runs" / "straight")
    capsys.readouterr()
    assert main(["evaluate", f"run={run.folder}", "json=true"]) == 0
    summary = json.loads(capsys.readouterr().out)
    held_out = json.loads(run.folds_file.read_text())["validation"]
    rows = (run.evaluation_folder() / "scores.csv").read_text().splitlines()
    assert rows[0] == "case,region,metric,value,unit"
    assert {row.split(",")[0] for row in rows[1:]} == set(held_out)
    assert summary["cases"] == len(held_out) or len(held_out) == 2
    for case_id in held_out:
        assert (run.evaluation_folder() / "figures" / f"{case_id}.png").stat().st_size > 10_000
    assert (run.evaluation_folder() / "seed_scores.csv").exists()
    facts = read_facts(run.evaluation_folder() / "cases.csv")
    assert {one.case for one in facts} == set(held_out)
    assert {one.absent for one in facts} == {"none"} and all(0 < one.left < 1 for one in facts if one.slices_reference)


def test_a_run_is_scored_on_its_moved_cases_and_on_cases_of_another_folder(place, phantom_root, tmp_path, capsys):
    folder, _ = place
    run = Run(folder / "runs" / "straight")
    told = [f"run={run.folder}", "figures=false", "json=true"]
    assert main(["evaluate", *told]) == 0
    files = [run.evaluation_folder() / name for name in ("scores.csv", "seed_scores.csv", "trivial_scores.csv")]
    before = [file.read_bytes() for file in files]
    moved = shutil.copytree(phantom_root, tmp_path / "moved")
    assert main(["evaluate", *told, f"data.root={moved}"]) == 0
    assert [file.read_bytes() for file in files] == before
    division = json.loads(run.folds_file.read_text())
    shutil.rmtree(moved / division["validation"][0])  # now cases are missing, so the others are scored too
    capsys.readouterr()
    assert main(["evaluate", *told, f"data.root={moved}"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["trained_on"] == dict.fromkeys(division["train"], "same scan")
    assert summary["cases"] == 3
    assert "were trained on, so the scores are too good" in summary["note"]
    assert summary["trivial_predictors"]["mean_shape"]["n"] == 3 - len(division["train"])
    assert (run.folder / "evaluation-moved" / "predictions" / f"{division['train'][0]}.nii.gz").exists()
    assert [file.read_bytes() for file in files] == before


def test_predictions_lie_on_the_grid_and_header_of_their_case(place, phantom_root):
    folder, _ = place
    output = folder / "masks"
    assert main(["predict", f"run={folder / 'runs' / 'straight'}", f"input={phantom_root}", f"output={output}"]) == 0
    for case in find_cases(phantom_root, modalities=list(Modality)).cases:
        mine, theirs = (read_header(path) for path in (output / f"{case.id}.nii.gz", case.images[Modality.T1].path))
        assert mine.shape == theirs.shape
        assert np.array_equal(mine.affine, theirs.affine)
        assert set(np.unique(read_integers(output / f"{case.id}.nii.gz").array)) <= {0, 1, 2, 4}


def test_a_keras_file_predicts_what_its_run_predicts(place, float32, phantom_root):
    folder, _ = place
    run = Run(folder / "runs" / "float32")
    case = phantom_root / "Phantom20_001"
    for source, name in ((run.folder, "by_run"), (run.model_file, "by_file")):
        assert main(["predict", f"run={source}", f"input={case}", f"output={folder / name}"]) == 0
    masks = [read_integers(folder / name / "Phantom20_001.nii.gz").array for name in ("by_run", "by_file")]
    assert np.array_equal(*masks)


def test_masks_of_different_networks_are_never_mixed(place, phantom_root, capsys):
    folder, _ = place
    run, output = folder / "runs" / "straight", folder / "once"
    case = phantom_root / "Phantom20_002"
    assert main(["predict", f"run={run}", f"input={case}", f"output={output}"]) == 0
    assert main(["predict", f"run={run}", f"input={case}", f"output={output}", "checkpoint=best"]) == 2
    assert "holds masks of other networks" in capsys.readouterr().err


def test_nothing_is_written_to_the_folder_of_the_scans(place, phantom_root, capsys):
    folder, _ = place
    inside = phantom_root / "masks"
    assert main(["predict", f"run={folder / 'runs' / 'straight'}", f"input={phantom_root}", f"output={inside}"]) == 2
    assert "lies in the folder of the scans" in capsys.readouterr().err
    assert not inside.exists()


def perfect_scores(root, tmp_path):
    """Scores of the reference itself after preparation, conversion to regions and back, and writing as a mask."""
    convention = conventions(builtin())["brats2017"]
    preparation = Preparation(tuple(Modality))
    pairs = []
    for case in find_cases(root, modalities=list(Modality), masks_required=True).cases:
        one_mm = Preparation(tuple(Modality), read_header(case.mask).spacing_mm)
        prepared = prepare(case, one_mm if one_mm.spacing_mm[0] > 1 else preparation, convention)
        regions = region_masks(prepared.labels).astype(np.float32)
        labels = labels_from_regions(prepared.grid.to_case(regions) >= 0.5)
        mask = tmp_path / f"{case.id}.nii.gz"
        write_volume(mask, Volume(convention.encode(labels)), like=case.images[Modality.FLAIR].path)
        pairs.append(Pair(case.id, case.mask, mask, None, convention, convention))
    return [
        row for scored in score_cases(pairs, protocol="brats2020", seed_scores=False, workers=1) for row in scored.rows
    ]


def refuse_imperfect(rows):
    perfect = {"dice": 1, "sensitivity": 1, "precision": 1, "specificity": 1, "accuracy": 1, "hd95": 0}
    seen = {row.metric for row in rows} & set(perfect)
    assert {"dice", "hd95"} <= seen
    for row in rows:
        assert row.metric not in perfect or row.value == perfect[row.metric], row


def test_a_perfect_predictor_scores_perfectly_through_the_whole_pipeline(phantom_root, tmp_path):
    refuse_imperfect(perfect_scores(phantom_root, tmp_path))


@pytest.mark.real
def test_a_perfect_predictor_scores_perfectly_on_real_scans(real_scans, tmp_path):
    refuse_imperfect(perfect_scores(real_scans / "BraTS2021", tmp_path))


VOLUMES = ["model.features=[4,8]", "sampling.patch=[16,16,16]", "data.preparation.spacing_mm=[5,5,5]"]
RESENC = [*VOLUMES, "model.blocks=1"]


@pytest.mark.parametrize(
    ("experiment", "smaller"),
    [
        ("unet3d", VOLUMES),
        ("nnunet", VOLUMES),
        ("isensee2020", VOLUMES),
        ("nvidia21", ["model.features=[4,8,8]", "model.deep_supervision=1", *VOLUMES[1:]]),
        ("resenc_m", RESENC),
        ("resenc_l", RESENC),
        ("seed2d", ["model.features=[4,8]", "sampling.batch=4", "sampling.patch=[32,32,1]", "sampling.slices=[5,35]"]),
    ],
)
def test_every_experiment_takes_two_steps(experiment, smaller, place, phantom_root, tmp_path):
    folder, _ = place
    told = ["data=brats", "data.folds=2", f"data.root={phantom_root}", f"data.cache={folder / 'cache'}"]
    extra = ["data.preparation.spacing_mm=[4,4,4]"] if experiment == "seed2d" else []
    runs = [f"runs={tmp_path}", "name=two", "steps=2", "validation.cases=1", "validation.every=1"]
    assert main(["train", f"experiment={experiment}", *told, *smaller, *extra, *runs]) == 0
    assert len(losses(Run(tmp_path / "two"))) == 2


@pytest.mark.slow
def test_the_first_command_of_the_readme_works_with_no_data(tmp_path):
    command = [sys.executable, "-m", "brats_unet", "train", "data.cases=5", "steps=2", "validation.cases=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert "Next: brats-unet evaluate run=runs/" in done.stdout
    assert done.stderr == ""


def test_a_run_mirrored_on_two_logical_devices_has_the_losses_of_one(place, float32):
    folder, _ = place
    mirrored = [*float32, "name=two", "hardware=mirrored", "hardware.replicas=2", "hardware.precision=float32"]
    # Logical devices are made before TensorFlow starts: in a process of its own.
    command = [sys.executable, "-m", "brats_unet", "train", *mirrored]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    one, two = (losses(Run(folder / "runs" / name)) for name in ("float32", "two"))
    assert len(one) == 3
    np.testing.assert_allclose(two, one, rtol=1e-5)
    one, two = (Run(folder / "runs" / name).journal("patches") for name in ("float32", "two"))
    assert [line["step"] for line in two] == [line["step"] for line in one] == [2, 3]
    np.testing.assert_allclose([line["loss"] for line in two], [line["loss"] for line in one], rtol=1e-4)
    for a, b in zip(one, two, strict=True):
        assert b["dice"] == pytest.approx(a["dice"], abs=1e-3)


@pytest.mark.slow
def test_kaggle_t4_takes_two_steps_on_two_logical_devices_in_float16(place, phantom_root, tmp_path):
    folder, _ = place
    data = ["data=brats", "data.folds=2", f"data.root={phantom_root}", f"data.cache={folder / 'cache'}"]
    runs = [f"runs={tmp_path}", "name=two", "steps=2", "validation.cases=1", "validation.every=1"]
    command = ["train", "experiment=kaggle_t4", *data, *VOLUMES, *runs, "hardware.replicas=2"]
    done = subprocess.run([sys.executable, "-m", "brats_unet", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "two")
    found = json.loads(run.environment_file.read_text())
    assert (found["devices"], found["precision"]) == ("2 logical CPUs", "float16")
    assert len(losses(run)) == 2 and np.isfinite(losses(run)).all()

"""The command `brats-unet export`: every format gives the masks of the trained network; no partial files."""

import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brats_unet import load
from brats_unet.cli.main import main
from brats_unet.commands import export
from brats_unet.errors import BratsError, MachineError
from brats_unet.inference import exported
from brats_unet.inference.exported import DESCRIPTION, FILES, OURS, description_of, open_exported
from brats_unet.inference.loading import open_network
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.json_files import write_json
from brats_unet.nifti import read_integers, read_volume
from brats_unet.schemes.scheme_file import builtin
from brats_unet.settings import Export
from tests.inference import by_description
from tests.inference.scheme_examples import SCHEMES

CASE = "Phantom20_001"


def settings_of(**values) -> Export:
    plain = {"format": "keras", "checkpoint": "last", "postprocess": "auto", "overwrite": False, "json": True}
    return Export(**(plain | values))


@pytest.fixture
def told(small_run, tmp_path):
    places = {"run": str(small_run.folder), "output": str(tmp_path / "out")}
    return lambda **changes: settings_of(**(places | changes))


@pytest.fixture(scope="module", params=["keras", "savedmodel", "onnx", "openvino"])
def small_export(request, small_run, tmp_path_factory):
    """`small_run` in one format, not to be written to: (format, folder, what was said)."""
    if request.param == "openvino":
        pytest.importorskip("openvino")
    folder = tmp_path_factory.mktemp("exported") / request.param
    with redirect_stdout(io.StringIO()) as said:
        assert export.main(settings_of(run=str(small_run.folder), output=str(folder), format=request.param)) == 0
    return request.param, folder, json.loads(said.getvalue())


def predicted(run, root, output, *more):
    case = f"input={root / CASE}"
    told = [f"run={run}", case, f"output={output}", "device=cpu", "trust=true"]
    assert main(["predict", *told, "--json", *more]) == 0
    return read_integers(output / f"{CASE}.nii.gz").array


@pytest.fixture(scope="module")
def by_run(small_run, phantom_root, tmp_path_factory):
    """The mask of the run itself, and how many of its voxels are brain."""
    mask = predicted(small_run.folder, phantom_root, tmp_path_factory.mktemp("by_run") / "masks")
    scan = read_volume(phantom_root / CASE / f"{CASE}_flair.nii.gz").array
    assert len(np.unique(mask[scan > 0])) >= 3  # else nothing is shown
    return mask, int((scan > 0).sum())


@pytest.fixture(scope="module")
def whole_by_run(small_run, phantom_root, tmp_path_factory):
    """The mask of the run itself, of the whole brain at once."""
    return predicted(small_run.folder, phantom_root, tmp_path_factory.mktemp("whole") / "masks", "mode=whole")


def test_an_exported_network_makes_the_masks_of_its_run(small_export, by_run, phantom_root, tmp_path):
    form, folder, said = small_export
    assert said["largest_difference"] < 1e-5 and DESCRIPTION in said["files"] and FILES[form] in said["files"]
    allowed = 1e-5 * by_run[1] if form != "openvino" else 1  # where one voxel lies on a threshold
    for number, path in enumerate(
        [folder] if form != "onnx" else [folder, folder / "model.onnx", folder / DESCRIPTION]
    ):
        mask = predicted(path, phantom_root, tmp_path / str(number))
        assert (mask != by_run[0]).sum() <= allowed


def test_whole_brains_of_any_size_go_through_every_format(small_export, whole_by_run, phantom_root, tmp_path):
    form, folder, _ = small_export
    multiple = {"keras": 2, "savedmodel": 1, "onnx": 1, "openvino": 1}[form]
    assert json.loads((folder / DESCRIPTION).read_text())["network"]["multiple_of"] == [multiple] * 3
    mask = predicted(folder, phantom_root, tmp_path / "masks", "mode=whole")
    assert len(np.unique(whole_by_run)) >= 3 and (mask != whole_by_run).mean() <= 1e-4


@pytest.mark.parametrize("small_export", ["savedmodel"], indirect=True)
def test_a_saved_model_may_be_named_by_its_conf_folder(small_export, monkeypatch):
    _, folder, _ = small_export
    for path in (folder, folder / "saved_model", folder / DESCRIPTION):
        assert description_of(path) == folder / DESCRIPTION
        assert open_exported(path, folder / DESCRIPTION).file == folder / "saved_model"
    monkeypatch.chdir(folder)
    here = Path()
    assert open_exported(here, description_of(here)).file == Path("saved_model")


def test_onnxruntime_that_falls_back_to_the_cpu_is_refused_if_a_gpu_was_asked_for(small_onnx, monkeypatch):
    import onnxruntime

    session = onnxruntime.InferenceSession
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [cuda, cpu])
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda file, options, providers: session(file, options, providers=[cpu])
    )
    with pytest.raises(MachineError, match="cannot start CUDA"):
        open_network(small_onnx, which="last", policies={}, device="gpu", log=print)
    assert open_network(small_onnx, which="last", policies={}, log=print).on_host


def test_an_onnx_network_predicts_whatever_backend_keras_is_told_to_use(small_onnx, phantom_root, tmp_path):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"backend": "torch", "floatx": "float16"}')
    told = ["predict", f"run={small_onnx}", f"input={phantom_root}", f"output={tmp_path / 'masks'}"]
    environment = {**os.environ, "HOME": str(tmp_path), "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-m", "brats_unet", *told]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "masks").glob("*.nii.gz"))) == 4


def test_tiles_mirroring_and_ensembles_go_through_onnx_too(small_run, small_onnx, phantom_root, tmp_path):
    how = ["mode=tiles", "mirror=[x,z]", "probabilities=true", "uncertainty=true", "labels=brats2023"]
    masks = [
        predicted(run, phantom_root, tmp_path / name, *how)
        for name, run in (
            ("run", f"[{small_run.folder},{small_run.folder}]"),
            ("onnx", f"[{small_onnx},{small_onnx / 'model.onnx'}]"),
            ("mixed", f"[{small_onnx},{small_run.folder}]"),
        )
    ]
    assert 3 in np.unique(masks[0])
    for mask in masks[1:]:
        assert (mask != masks[0]).mean() <= 1e-5
    assert len(list((tmp_path / "onnx").rglob(f"{CASE}*.nii.gz"))) == 5


def test_onnx_predicts_where_tensorflow_and_keras_cannot_be_imported(
    small_run, small_onnx, by_run, phantom_root, tmp_path
):
    code = f"""
import importlib.abc, sys
class Forbidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Forbidden())
from brats_unet import load
from brats_unet.cli.main import main
scans = "input={phantom_root / CASE}"
assert main(["predict", "run={small_onnx}", scans, "output={tmp_path / "masks"}", "mirror=x"]) == 0
from brats_unet import load
load("{small_onnx}")("{phantom_root / CASE}").save("{tmp_path / "plain.nii.gz"}")
assert not {{"tensorflow", "keras"}} & set(sys.modules)
assert main(["predict", "run={small_run.folder}", scans, "output={tmp_path / "no"}"]) == 2
assert main(["export", "run={small_run.folder}", "output={tmp_path / "no"}"]) == 2
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (read_integers(tmp_path / "plain.nii.gz").array != by_run[0]).sum() <= 1e-5 * by_run[1]
    assert "needs tensorflow, not installed here: pip install tensorflow." in done.stderr
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("model", "tile"),
    [
        ({"name": "unet3d", "features": [4, 8], "strides": [1, 2], "foreground_channel": True}, [16, 16, 16]),
        ({"name": "unet2d", "features": [4, 8], "strides": [1, 2]}, [16, 16, 1]),
    ],
)
def test_softmax_and_slices_are_exported_as_region_probabilities_too(model, tile, write_run, told, tmp_path):
    run = write_run(tmp_path / "run", model=model, outputs="labels", tile=tile)
    assert export.main(told(run=str(run.folder), format="onnx")) == 0
    network = json.loads((tmp_path / "out" / DESCRIPTION).read_text())["network"]
    assert network["multiple_of"] == [1, 1, 1] and network["output"]["regions"] == ["WT", "TC", "ET"]
    assert network["input"]["axes"] == ["batch", *"xyz"[: network["rank"]], "modality"]
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "model.onnx"))
    image = np.random.default_rng(0).normal(size=(2, 9, 6, 5, 4)[: network["rank"] + 1])[..., None]
    image = np.repeat(image, 4, axis=-1).astype(np.float32)
    wt, tc, et = np.moveaxis(session.run([network["output"]["name"]], {network["input"]["name"]: image})[0], -1, 0)
    assert wt.shape == image.shape[:-1] and (et >= 0).all() and (et <= tc).all() and (tc <= wt + 1e-6).all()


@pytest.mark.parametrize(("name", "outputs"), [("glioma_post", "labels"), ("lesion", "labels"), ("five", "regions")])
def test_a_network_of_any_scheme_predicts_by_its_description_alone(
    name, outputs, write_run, told, phantom_root, tmp_path
):
    scheme = SCHEMES[name]
    run = write_run(tmp_path / "run", scheme=scheme, outputs=outputs)
    rules = Postprocessing(
        threshold=dict.fromkeys(scheme.predicted, 0.48),
        least_component_mm3=dict.fromkeys(scheme.predicted, 200),
        least_total_mm3=dict.fromkeys(scheme.small_total, 400),
    )
    write_json(run.postprocessing_file, {"postprocessing": rules.as_dict(scheme)})
    assert export.main(told(run=str(run.folder), format="onnx")) == 0
    content = json.loads((tmp_path / "out" / DESCRIPTION).read_text())
    assert content["network"]["output"]["regions"] == list(scheme.predicted)
    result = load(tmp_path / "out", device="cpu", log=lambda sentence: None)(phantom_root / CASE)
    assert result.scheme.means_the_same(scheme) and tuple(result.volumes_ml) == result.regions == scheme.scored
    assert (
        result.probabilities.shape == (*result.labels.shape, len(scheme.predicted))
        and len(np.unique(result.labels)) > 1
    )
    np.testing.assert_array_equal(
        result.labels, by_description.mask_of(content, result.probabilities, result.spacing_mm)
    )
    masks = [predicted(path, phantom_root, tmp_path / path.name / "masks") for path in (run.folder, tmp_path / "out")]
    np.testing.assert_array_equal(masks[1], result.labels)
    assert (masks[0] != masks[1]).mean() <= 1e-5


def test_thresholds_travel_with_the_network_and_stand_in_the_card(write_run, told, phantom_root, tmp_path, capsys):
    run = write_run(tmp_path / "run")
    rules = Postprocessing(least_total_mm3={"ET": 10**9})
    plain = rules.as_dict(builtin())
    write_json(run.postprocessing_file, {"postprocessing": plain, "gain": 0.01, "n": 9, "metric": "dice"})
    assert export.main(told(run=str(run.folder))) == 0
    assert not (predicted(tmp_path / "out", phantom_root, tmp_path / "masks") == 4).any()
    assert (predicted(tmp_path / "out", phantom_root, tmp_path / "plain", "postprocess=none") == 4).any()
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "on 9 held-out cases" in card and "+0.0100 (dice)" in card


def test_the_card_of_a_run_says_data_scores_commit_and_limits(write_run, told, tmp_path, capsys):
    run = write_run(tmp_path / "mine")
    data = {"name": "brats", "root": "/scans/BraTS2020", "fold": 1, "folds": 5, "fold_seed": 12345}
    data |= {"modalities": ["flair"], "leave_out": [], "cache": "cache"}
    write_json(
        run.settings_file, {"data": data | {"splits": None, "validation_root": None}, "model": {"name": "unet3d"}}
    )
    write_json(run.folds_file, {"train": ["a", "b", "c"], "validation": ["d", "e"]})
    write_json(run.environment_file, {"commit": "abc123", "brats_unet": "0.1.0", "packages": {"keras": "3.15.1"}})
    assert export.main(told(run=str(run.folder))) == 0
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    for words in (
        "# Model card: mine",
        "Not a medical device",
        "`BraTS2020` (reader brats)",
        "Trained on 3 cases; 2 held out (fold 1 of 5, fold seed 12345)",
        "Held out: d, e.",
        "Not evaluated. `brats-unet evaluate run=mine`",
        "Commit of the training: abc123",
        "keras 3.15.1",
    ):
        assert words in card
    assert "/scans" not in card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "onx"}, "no format named onx. Did you mean onnx?"),
        ({"format": "pb"}, "no format named pb. Known: keras, onnx, openvino, savedmodel."),
        ({"run": ["a", "b"]}, "run names 2 runs, and one network or one ensemble is exported at a time"),
        ({"run": "nowhere"}, "nowhere: no such run folder"),
        ({"checkpoint": "first"}, "checkpoint=first is none of the choices"),
        ({"checkpoint": "best"}, "no such checkpoint"),
        ({"postprocess": "nowhere.json"}, "nowhere.json"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(told, change, message, tmp_path):
    with pytest.raises(BratsError) as refusal:
        export.main(told(**change))
    assert message in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_package_is_named_with_what_installs_it(told, monkeypatch):
    monkeypatch.setattr(exported, "find_spec", lambda name: None if name == "tf2onnx" else name)
    with pytest.raises(MachineError, match="format=onnx needs tf2onnx, not installed here: pip install tf2onnx."):
        export.main(told(format="onnx"))


def test_a_folder_with_files_is_refused_unless_told_and_other_files_stay(told, tmp_path, small_run, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with pytest.raises(BratsError, match="is not empty.*overwrite=true"):
        export.main(told())
    assert export.main(told(overwrite=True, format="savedmodel")) == 0
    with pytest.raises(BratsError, match="holds an exported network"):
        export.main(told())
    assert export.main(told(overwrite=True)) == 0
    assert sorted(path.name for path in out.iterdir()) == ["MODEL_CARD.md", "mine.txt", "model.keras", DESCRIPTION]
    with pytest.raises(BratsError, match="is an exported network"):
        export.main(told(run=str(out)))
    with pytest.raises(BratsError, match="is a run folder"):
        export.main(told(output=str(small_run.folder), overwrite=True))
    (tmp_path / "file").touch()
    with pytest.raises(BratsError, match="is a file"):
        export.main(told(output=str(tmp_path / "file")))


def test_interrupted_an_export_leaves_nothing_new_and_the_old_one_whole(told, tmp_path, monkeypatch, capsys):
    def stopped(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(export, "card", stopped)
        with pytest.raises(KeyboardInterrupt):
            export.main(told())
        assert list(tmp_path.iterdir()) == []
    assert export.main(told()) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    monkeypatch.setattr(export, "card", stopped)
    with pytest.raises(KeyboardInterrupt):
        export.main(told(overwrite=True))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_network_that_answers_otherwise_is_not_kept(told, tmp_path, monkeypatch):
    from brats_unet.inference import runtimes

    real = runtimes.RUNTIMES["keras"]

    def wrong(file, device):
        engine = real(file, device)
        return replace(engine, compute=lambda patches: engine.compute(patches) + np.float32(0.01))

    monkeypatch.setitem(runtimes.RUNTIMES, "keras", wrong)
    with pytest.raises(BratsError, match="predicts differently.*by up to 0.01"):
        export.main(told())
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def copied(small_onnx, tmp_path):
    return shutil.copytree(small_onnx, tmp_path / "copied")


def broken_description(folder, change):
    content = json.loads((folder / DESCRIPTION).read_text())
    change(content)
    write_json(folder / DESCRIPTION, content)


def without_hashes(folder):
    """As exports of earlier versions are."""
    broken_description(folder, lambda content: content["network"].pop("blake2b"))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: (f / "model.onnx").unlink(), "model.onnx: no such file, though prediction.json names it"),
        (lambda f: (f / "model.onnx").write_bytes(b"no network"), "model.onnx: damaged or changed: by its hash, it is"),
        (
            lambda f: (without_hashes(f), (f / "model.onnx").write_bytes(b"no network")),
            "model.onnx: cannot be read as an ONNX network",
        ),
        (lambda f: (f / DESCRIPTION).write_text("{"), "not readable as JSON"),
        (lambda f: broken_description(f, lambda c: c.pop("preparation")), "not the description of an exported network"),
        (lambda f: broken_description(f, lambda c: c["network"].update(format="tar")), "format tar"),
        (
            lambda f: broken_description(f, lambda c: c["scheme"].pop("labels")),
            "scheme.labels: Expected",
        ),
        (lambda f: broken_description(f, lambda c: c.update(version=3)), "written by a later version"),
    ],
)
def test_a_broken_export_is_refused_in_one_sentence(copied, harm, message, phantom_root, tmp_path, capsys):
    harm(copied)
    assert main(["predict", f"run={copied}", f"input={phantom_root}", f"output={tmp_path / 'masks'}"]) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said
    assert not (tmp_path / "masks").exists()


def test_a_changed_bit_of_an_exported_network_is_refused(small_export, tmp_path):
    _, folder, _ = small_export
    out = shutil.copytree(folder, tmp_path / "out")
    files = [file for file in out.rglob("*") if file.is_file() and file.name not in (DESCRIPTION, "MODEL_CARD.md")]
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BratsError, match="damaged or changed: by its hash") as raised:
            load(out, trust=True, log=lambda text: None)
        assert f"and blake2b_of_the_rest, in {out / DESCRIPTION}" in str(raised.value)
        file.write_bytes(content)
    load(out, trust=True, log=lambda text: None)


def test_an_export_of_an_earlier_version_is_read_without_hashes(copied):
    without_hashes(copied)
    content = json.loads((copied / DESCRIPTION).read_text())
    del content["blake2b_of_the_rest"]
    (copied / DESCRIPTION).write_text(json.dumps(content))
    load(copied, log=lambda text: None)


def test_a_network_without_its_description_is_refused(copied, phantom_root, tmp_path, capsys):
    (copied / DESCRIPTION).unlink()
    for run in (copied / "model.onnx", copied / "other.onnx"):
        assert main(["predict", f"run={run}", f"input={phantom_root}", f"output={tmp_path / 'masks'}"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "has no prediction.json beside it" in said[0] and "other.onnx: no such file" in said[1]


def test_every_file_of_ours_is_known_by_name():
    assert set(FILES.values()) < set(OURS) and OURS[0] == DESCRIPTION


def test_an_answer_that_is_no_number_is_no_likeness(small_run):
    pytest.importorskip("tensorflow")
    from brats_unet.inference.export_network import refuse_other_answers

    def answering(value):
        recipe = small_run.recipe()
        return Network(lambda patches: np.full((*patches.shape[:-1], 3), value), recipe, (1, 1, 1))

    with pytest.raises(BratsError, match="not finite"):
        refuse_other_answers(answering(0.0), answering(np.nan))
    with pytest.raises(BratsError, match="differ by 0.5 on average"):
        refuse_other_answers(answering(0.0), answering(0.5))


def test_files_that_only_have_our_names_are_never_replaced(told, tmp_path):
    theirs = tmp_path / "out" / "model.onnx"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    with pytest.raises(BratsError, match="holds model.onnx, but no prediction.json"):
        export.main(told(overwrite=True))
    assert theirs.read_text() == "mine"


def test_a_folder_of_scores_is_no_place_for_a_network(told, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scores.csv").write_text("")
    with pytest.raises(BratsError, match="folder of masks or scores"):
        export.main(told(overwrite=True))


def test_a_link_to_an_empty_folder_is_filled_not_replaced(told, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    assert export.main(told()) == 0
    assert (tmp_path / "out").is_symlink()
    assert {path.name for path in (tmp_path / "real").iterdir()} == {DESCRIPTION, FILES["keras"], "MODEL_CARD.md"}


def test_a_single_file_has_no_best_checkpoint(told, small_run):
    with pytest.raises(BratsError, match="one set of weights"):
        export.main(told(run=str(small_run.folder / "model.keras"), checkpoint="best"))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda content: content["network"].update(multiple_of=[16, 16]), "expected three lengths"),
        (lambda content: content["network"].update(multiple_of=[0, 16, 16]), r"multiple_of\[0\]=0 does not fit"),
        (lambda content: content.update(version="two"), "not the description"),
    ],
)
def test_a_description_that_was_tampered_with_is_refused(harm, words, small_onnx, tmp_path):
    folder = shutil.copytree(small_onnx, tmp_path / "copy")
    content = json.loads((folder / DESCRIPTION).read_text())
    harm(content)
    write_json(folder / DESCRIPTION, content)
    with pytest.raises(BratsError, match=words):
        exported.open_exported(folder, folder / DESCRIPTION)

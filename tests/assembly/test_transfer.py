"""Which weights of a trained network a new one takes, which start anew, and which networks are refused."""

import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from brats_unet import models
from brats_unet.assembly.init_record import Transfer
from brats_unet.assembly.pretrained import open_pretrained
from brats_unet.assembly.resume import prepare_run_folder
from brats_unet.assembly.transfer import start_weights, take
from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.commands import export
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.inference.exported import describe_export
from brats_unet.inference.network import recipe
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.json_files import read_json, write_json
from brats_unet.models import checkpoint
from brats_unet.parts import build, options_of
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import builtin
from brats_unet.settings import Export, Train

UNET = {"name": "unet3d", "features": [4, 6, 8], "convolutions": 1}
LOGITS = {"regions": 3, "labels": 4}
FIRST = "encoder_0_conv_0/kernel"
PREPARED = {"spacing_mm": [5.0] * 3, "crop": "brain", "normalise": "zscore"}
INFERENCE = {"mode": "tiles", "tile": [16] * 3, "overlap": 0.5, "tile_batch": 1, "mirror": "none"}


def network(options, modalities, outputs="regions", seed=9):
    given = {"channels": len(modalities.split()), "outputs": LOGITS[outputs], "dtype": "float32", "seed": seed}
    return build("model", models.known(), options, **given)


def run_of(folder, options=UNET, modalities="flair t1ce", outputs="regions", average=None):
    """A run folder with an untrained network of random weights and `model.keras`, as `train` writes them."""
    model = network(options, modalities, outputs, seed=1)
    run = Run(folder)
    rng = np.random.default_rng(5)
    for variable in model.variables:  # no weight is 0 or 1 by chance
        variable.assign(rng.normal(size=variable.shape))
    means = None if average is None else {v.path: keras.Variable(average(np.asarray(v))) for v in model.variables}
    checkpoint.write(
        run.checkpoint_file("last"), checkpoint.copies(model, keras.optimizers.SGD(), means), checkpoint.State(step=7)
    )
    told = recipe(
        model=options,
        outputs=outputs,
        logits=LOGITS[outputs],
        stride=models.describe(options["name"], options_of(options)).stride,
        preparation=Preparation.of(modalities.split(), PREPARED),
        inference=INFERENCE,
        scheme=builtin(),
        convention="brats2017",
        precision="float32",
    )
    write_json(run.recipe_file, told)
    model.save(run.model_file)
    return run


def taken(source, options=UNET, modalities="flair t1ce", outputs="regions", preparation=None):
    """A new network that took what fits from `source`, itself before that by path, and the record."""
    model = network(options, modalities, outputs)
    before = values(model)
    shape = models.describe(options["name"], options_of(options))
    prepared = Preparation.of(modalities.split(), preparation or PREPARED)
    return model, before, take(open_pretrained(source), model, options, shape, outputs, builtin(), prepared)


def values(model):
    return {variable.path: np.asarray(variable).copy() for variable in model.variables}


def source_values(run):
    return {key.removeprefix("weights/"): value for key, value in stored(run).items() if key.startswith("weights/")}


def stored(run):
    from safetensors.numpy import load_file

    return load_file(run.checkpoint_file("last"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with the channels flair and t1ce; not to be written to."""
    return run_of(tmp_path_factory.mktemp("source") / "run")


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """A run whose network has the foreground as a third channel and predicts labels; not to be written to."""
    options = UNET | {"foreground_channel": True}
    return run_of(tmp_path_factory.mktemp("source") / "described", options, outputs="labels")


def test_the_same_network_gets_the_same_bits_as_from_the_checkpoint(run):
    model, _, record = taken(run.folder)
    restored = network(UNET, "flair t1ce")
    checkpoint.restore(run.checkpoint_file("last"), restored, None)
    for path, value in values(restored).items():
        np.testing.assert_array_equal(values(model)[path], value)
    assert record.new == record.channels == record.left_out == record.new_parts(model) == {}
    assert record.sentences(0) == [f"Weights of {run.name}: 14 of 14 layers were taken; init.json lists them."]


def test_channels_are_taken_by_name_and_new_ones_start_at_0(run):
    model, _, record = taken(run.folder, modalities="flair t1 t1ce t2")
    kernel, old = values(model)[FIRST], source_values(run)[FIRST]
    np.testing.assert_array_equal(kernel[..., [0, 2], :], old)
    np.testing.assert_array_equal(kernel[..., [1, 3], :], 0)
    for path in values(model).keys() - {FIRST}:
        np.testing.assert_array_equal(values(model)[path], source_values(run)[path])
    assert record.channels[FIRST]["new"] == ["t1", "t2"]
    assert np.array_equal(record.new_parts(model)[FIRST], [[False], [True], [False], [True]])
    assert list(record.new_parts(model)) == [FIRST]
    assert record.sentences(0)[1] == "encoder_0_conv_0, by channel: took flair, t1ce; t1, t2 start at 0."


def test_at_first_the_wider_network_answers_as_its_source_whatever_the_new_scans_show(run):
    model, _, _ = taken(run.folder, modalities="flair t1 t1ce t2")
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 8, 4)).astype(np.float32)
    old = open_pretrained(run.folder).network
    for here, there in zip(model(image), old(image[..., [0, 2]]), strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-4)


def test_as_many_channels_of_other_names_are_not_mixed_up(run):
    model, _, record = taken(run.folder, modalities="t1ce t2")  # t1ce was the second
    kernel, old = values(model)[FIRST], source_values(run)[FIRST]
    np.testing.assert_array_equal(kernel[..., 0, :], old[..., 1, :])
    np.testing.assert_array_equal(kernel[..., 1, :], 0)
    assert "took t1ce; t2 start at 0; left out flair." in record.sentences(0)[1]


def test_with_no_channel_in_common_the_kernel_stays_as_it_was_initialised(run):
    model, before, record = taken(run.folder, modalities="t1 t2")
    np.testing.assert_array_equal(values(model)[FIRST], before[FIRST])
    np.testing.assert_array_equal(
        values(model)["encoder_1_conv_0/kernel"], source_values(run)["encoder_1_conv_0/kernel"]
    )
    assert "t1, t2 start anew; left out flair, t1ce." in record.sentences(0)[1]
    assert record.new_parts(model)[FIRST].all()


def test_fewer_channels_are_taken_too(run):
    model, _, record = taken(run.folder, modalities="t1ce")
    np.testing.assert_array_equal(values(model)[FIRST][..., 0, :], source_values(run)[FIRST][..., 1, :])
    assert record.new_parts(model) == {}


def test_the_foreground_is_a_channel_like_any_other(described, run):
    options = UNET | {"foreground_channel": True}
    model, _, record = taken(described.folder, options, "flair t1 t1ce", "labels")
    kernel, old = values(model)[FIRST], source_values(described)[FIRST]
    np.testing.assert_array_equal(kernel[..., [0, 2, 3], :], old)
    np.testing.assert_array_equal(kernel[..., 1, :], 0)
    assert record.channels[FIRST]["channels"] == ["flair", "t1", "t1ce", "foreground"]
    gained, _, _ = taken(run.folder, options)
    np.testing.assert_array_equal(values(gained)[FIRST][..., 2, :], 0)
    lost, _, record = taken(described.folder, UNET, outputs="labels")
    np.testing.assert_array_equal(values(lost)[FIRST], old[..., :2, :])
    assert record.channels[FIRST]["left_out"] == ["foreground"]


def test_a_residual_encoder_is_matched_at_its_first_convolution(tmp_path):
    options = {"name": "resenc_unet", "features": [4, 6], "blocks": 1}
    run = run_of(tmp_path / "run", options)
    model, _, record = taken(run.folder, options, "flair t1ce t2")
    assert list(record.channels) == ["lead_in_conv_0/kernel"]
    np.testing.assert_array_equal(
        values(model)["lead_in_conv_0/kernel"][..., :2, :], source_values(run)["lead_in_conv_0/kernel"]
    )


def test_heads_of_other_outputs_start_anew_also_those_of_deep_supervision(run):
    model, before, record = taken(run.folder, outputs="labels")
    for path in ("head_0/kernel", "head_0/bias", "head_1/kernel", "head_1/bias"):
        np.testing.assert_array_equal(values(model)[path], before[path])
        assert record.new[path] == "the source predicts regions and this run labels"
    assert record.new_parts(model) == dict.fromkeys(sorted(record.new))
    assert record.sentences(0) == [
        f"Weights of {run.name}: 12 of 14 layers were taken; init.json lists them.",
        "New: head_0, head_1, because the source predicts regions and this run labels.",
    ]


def test_more_heads_start_anew_and_surplus_ones_are_left_out(tmp_path, run):
    one = run_of(tmp_path / "one", UNET | {"deep_supervision": False})
    model, before, record = taken(one.folder)
    np.testing.assert_array_equal(values(model)["head_0/kernel"], source_values(one)["head_0/kernel"])
    np.testing.assert_array_equal(values(model)["head_1/kernel"], before["head_1/kernel"])
    assert record.new == dict.fromkeys(["head_1/bias", "head_1/kernel"], "the source has no such head")
    _, _, record = taken(run.folder, UNET | {"deep_supervision": False})
    assert record.sentences(0)[1] == "Left out: head_1, because this run has no such head."


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"features": [4, 6, 8, 8]}, "model.features is [4,6,8] in the source, [4,6,8,8] here"),
        ({"features": [4, 6]}, "Set model.features=[4,6,8], or leave out init=."),
        ({"features": [4, 6, 10]}, "encoder_2_conv_0/kernel (3×3×3×6×8 in the source, 3×3×3×6×10 here)"),
        ({"convolutions": 2}, "model.convolutions is 1 in the source, 2 here"),
        ({"convolutions": 2}, "decoder_0_conv_1/bias (lacking in the source)"),
        ({"name": "resenc_unet", "blocks": 1}, "model is unet3d in the source, resenc_unet here"),
        ({"name": "unet2d"}, "Set model=unet3d, or leave out init=."),
        ({"kernels": [5, 3, 3]}, "encoder_0_conv_0/kernel (3×3×3×2×4 in the source, 5×5×5×2×4 here)"),
        ({"norm": "batch"}, "encoder_0_norm_0/moving_mean (lacking in the source)"),
        ({"norm": "none"}, "model.norm is instance in the source, none here"),
        ({"norm": "none"}, "decoder_0_norm_0/beta (lacking here)"),
        ({"strides": [2, 2, 2]}, "model.strides is null in the source, [2,2,2] here"),
    ],
)
def test_another_network_is_refused_by_name_and_nothing_is_taken(run, asked, said):
    options = UNET | asked
    if options["name"] == "resenc_unet":
        del options["convolutions"]
    model = network(options, "flair t1ce")
    before = values(model)
    shape = models.describe(options["name"], options_of(options))
    with pytest.raises(SettingsError, match="holds another network") as caught:
        take(
            open_pretrained(run.folder),
            model,
            options,
            shape,
            "regions",
            builtin(),
            Preparation.of(["flair", "t1ce"], PREPARED),
        )
    assert said in str(caught.value)
    assert str(run.folder) in str(caught.value)
    for path, value in values(model).items():
        np.testing.assert_array_equal(value, before[path])


def test_settings_that_differ_although_the_weights_fit_are_said(tmp_path):
    run = run_of(tmp_path / "run", UNET | {"slope": 0.01})
    _, _, record = taken(run.folder, UNET | {"slope": 0.0}, preparation=PREPARED | {"spacing_mm": [1.0, 1.0, 2.0]})
    assert record.notes == [
        "Other settings than those the weights were trained with: model.slope is 0.01 in the source, 0.0 here; "
        "data.preparation.spacing_mm is [5.0,5.0,5.0] in the source, [1.0,1.0,2.0] here."
    ]


def test_the_averaged_weights_are_taken_where_there_are_any(tmp_path):
    run = run_of(tmp_path / "run", average=lambda weights: weights + 1)
    model, _, _ = taken(run.folder, modalities="flair t1ce t2")
    np.testing.assert_array_equal(values(model)[FIRST][..., :2, :], source_values(run)[FIRST] + 1)
    np.testing.assert_array_equal(values(model)["head_0/bias"], source_values(run)["head_0/bias"] + 1)


def test_moving_statistics_of_batch_normalisation_are_taken_and_are_no_new_part(tmp_path):
    options = UNET | {"norm": "batch"}
    run = run_of(tmp_path / "run", options)
    model, _, record = taken(run.folder, options, outputs="labels")
    path = "encoder_0_norm_0/moving_mean"
    np.testing.assert_array_equal(values(model)[path], source_values(run)[path])
    assert {path.split("/")[0] for path in record.new_parts(model)} == {"head_0", "head_1"}


# Files


def test_a_keras_file_gives_what_its_run_gives(run):
    one, _, record = taken(run.model_file, modalities="flair t1 t1ce t2")
    other, _, of_run = taken(run.folder, modalities="flair t1 t1ce t2")
    for path, value in values(other).items():
        np.testing.assert_array_equal(values(one)[path], value)
    assert replace(record, source="") == replace(of_run, source="")


def test_a_keras_file_without_its_recipe_or_with_code_is_refused(tmp_path, run):
    alone = tmp_path / "alone.keras"
    alone.write_bytes(run.model_file.read_bytes())
    with pytest.raises(CheckpointError, match="has no recipe beside it"):
        open_pretrained(alone)
    image = keras.Input((None, None, None, 2))
    keras.Model(image, keras.layers.Lambda(lambda x: x)(image)).save(alone)
    (tmp_path / "recipe.json").write_bytes(run.recipe_file.read_bytes())
    with pytest.raises(CheckpointError, match="refused as a Keras model.*Lambda"):
        open_pretrained(alone)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """`run`, exported as Keras; not to be written to."""
    return as_keras(run, tmp_path_factory.mktemp("exported") / "run")


def as_keras(run, output):
    told = {"format": "keras", "checkpoint": "last", "postprocess": "none", "overwrite": False, "json": True}
    assert export.main(Export(run=str(run.folder), output=str(output), **told)) == 0
    return output


@pytest.mark.parametrize("named", ["", "model.keras", "prediction.json"])
def test_an_exported_keras_folder_gives_all_but_the_lower_heads(run, exported, named):
    model, before, record = taken(exported / named, modalities="flair t1 t1ce t2")
    for path in values(model).keys() - {FIRST, "head_1/kernel", "head_1/bias"}:
        np.testing.assert_array_equal(values(model)[path], source_values(run)[path])
    np.testing.assert_array_equal(values(model)["head_1/kernel"], before["head_1/kernel"])
    assert set(record.new.values()) == {"an exported network has its first head only"}


def test_an_exported_network_of_labels_is_known_as_such(described, tmp_path):
    source = open_pretrained(as_keras(described, tmp_path / "exported"))
    assert (source.outputs, source.modalities) == ("labels", ["flair", "t1ce"])
    _, _, record = taken(source.path, UNET | {"foreground_channel": True}, outputs="labels")
    assert set(record.new) == {"head_1/bias", "head_1/kernel"}


def test_another_network_is_refused_by_name_from_an_exported_folder_too(exported, tmp_path):
    with pytest.raises(SettingsError, match=r"model.features is \[4,6,8\] in the source, \[4,6,10\] here"):
        taken(exported, UNET | {"features": [4, 6, 10]})
    older = shutil.copytree(exported, tmp_path / "older")
    content = read_json(older / "prediction.json", what="")
    del content["model"]  # as in exports before this was recorded
    write_json(older / "prediction.json", content)
    with pytest.raises(SettingsError, match="its stride is 4×4×4 in the source, 8×8×8 here"):
        taken(older, UNET | {"strides": [2, 2, 2]})
    with pytest.raises(SettingsError, match="model is unet3d in the source, resenc_unet here"):
        taken(older, {"name": "resenc_unet", "features": [4, 6, 8], "blocks": 1})
    assert taken(older, modalities="flair t2")[2].channels[FIRST]["new"] == ["t2"]


@pytest.mark.parametrize(
    ("form", "file"), [("onnx", "model.onnx"), ("openvino", "model.xml"), ("savedmodel", "saved_model")]
)
def test_formats_whose_weights_cannot_be_read_back_are_refused_with_what_to_do(run, tmp_path, form, file):
    content = describe_export(run.recipe(), Postprocessing(), form=form, rank=3, stride=(1, 1, 1), source={}, hashes={})
    write_json(tmp_path / "prediction.json", content)
    for name in (file, "model.bin"):
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=f"format {form}.*Export the run once more with format=keras"):
        open_pretrained(tmp_path)


def test_other_files_and_folders_are_refused(run, tmp_path):
    other = tmp_path / "model_final.pth"
    other.touch()
    with pytest.raises(CheckpointError, match="not a file that weights can be read from. Expected a run folder"):
        open_pretrained(other)
    with pytest.raises(CheckpointError, match="no such run folder"):
        open_pretrained(tmp_path / "absent")


# Settings


def started(settings, folder, model):
    defaults = {"init": None, "init_freeze_steps": 0, "overwrite": False, "model": UNET, "scheme": builtin().as_dict()}
    shape = models.describe("unet3d", options_of(UNET))
    preparation = Preparation.of(["flair", "t1ce"], PREPARED)
    loss = SimpleNamespace(outputs="regions")
    return start_weights(Run(folder), SimpleNamespace(**defaults | settings), model, shape, loss, preparation)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"init_freeze_steps": 5}, "init is not set"),
        ({"init": "SOURCE", "init_freeze_steps": 5}, "so nothing is new. Set init_freeze_steps=0."),
        ({"init": "SOURCE", "overwrite": True}, "overwrite=true would delete init="),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_the_source_stays(run, tmp_path, settings, said):
    if settings.get("init"):
        settings = settings | {"init": str(run.folder)}
    folder = run.folder if settings.get("overwrite") else tmp_path / "new"
    with pytest.raises(SettingsError, match=said):
        started(settings, folder, network(UNET, "flair t1ce"))
    assert run.checkpoint_file("last").exists()


def test_a_resumed_run_reads_its_record_and_no_longer_needs_the_source(run, tmp_path):
    model, _, record = taken(run.folder, outputs="labels")
    here = run_of(tmp_path / "here")
    write_json(here.init_file, vars(record))
    before = values(model)
    assert started({"init": "gone", "init_freeze_steps": 5}, here.folder, model) == record
    assert started({"init": "gone"}, here.folder, model) is None
    for path, value in values(model).items():
        np.testing.assert_array_equal(value, before[path])


def test_a_run_of_a_version_without_init_freeze_steps_is_resumed(tmp_path):
    request = arguments.split(["train", "experiment=quick", f"runs={tmp_path}", "name=old"])
    settings = bind(Train, hydra.settings_of(request, checks.checked(request)))
    older = asdict(settings)
    del older["init_freeze_steps"]
    run = Run(tmp_path / "old")
    write_json(run.settings_file, older)
    prepare_run_folder(run, settings)
    with pytest.raises(SettingsError, match="init_freeze_steps: 0 in the run, 5 now"):
        prepare_run_folder(run, replace(settings, init_freeze_steps=5))


def test_many_layers_are_counted_not_all_named():
    record = Transfer("a", [], {}, {f"head_{level}/bias": "they are new" for level in range(8)}, {}, [])
    assert record.sentences(0)[1] == "New: head_0, head_1, head_2, head_3, head_4 and 3 more, because they are new."
    assert record.sentences(5)[2] == "Only what is new is updated until step 5."

"""Networks and runs from a stranger: nothing that is opened runs, and nothing outside its folder is read."""

import ast
import importlib
import io
import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from brats_unet import load
from brats_unet.cli.main import main
from brats_unet.commands.tune import _read_case
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.evaluation import mean_shape_file
from brats_unet.inference import keras_archive, runtimes
from brats_unet.inference.export_network import probability_model
from brats_unet.inference.exported import DESCRIPTION, IMAGE, PROBABILITIES, open_exported
from brats_unet.inference.keras_archive import ALLOWED, CONFIG, MEMBERS, WEIGHTS, refuse_unsafe_keras
from brats_unet.inference.keras_network import keras_file, trained_model
from brats_unet.inference.loading import open_network
from brats_unet.inference.onnx_files import ENTRY, FIELDS, KEY, VALUE, locations
from brats_unet.json_files import read_json, write_json
from brats_unet.models import MODELS
from brats_unet.parts import contract_options_of
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Case

ROOT = Path(__file__).parents[2]


class Trap:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def trap(tmp_path):
    """(the bytes of a pickle, the file that it creates if anything loads it)."""
    mark = tmp_path / "the pickle ran"
    content = pickle.dumps(Trap(mark))
    pickle.loads(content)
    assert mark.exists()  # else the tests show nothing
    mark.unlink()
    return content, mark


def opened(path, **how):
    return open_network(path, which="last", policies={}, device="cpu", log=lambda sentence: None, **how)


def changed(folder, **network):
    """Change what the description of an exported network says of the network."""
    content = json.loads((folder / DESCRIPTION).read_text())
    content["network"].update(network)
    write_json(folder / DESCRIPTION, content)
    return folder


def without_hashes(folder):
    """As a stranger would write it: hashes show damage, they are no signature."""
    content = json.loads((folder / DESCRIPTION).read_text())
    del content["network"]["blake2b"]
    write_json(folder / DESCRIPTION, content)
    return Path(folder)


def refusal(call, *given, **named):
    """What the user is told, in one line."""
    with pytest.raises(CheckpointError) as refused:
        call(*given, **named)
    message = str(refused.value)
    assert "\n" not in message
    return message


# SavedModel


@pytest.fixture(scope="module")
def hostile_saved_model(small_onnx, tmp_path_factory):
    """(an exported network as a SavedModel, the file that it writes when it predicts)."""
    import tensorflow as tf

    folder = changed(
        without_hashes(shutil.copytree(small_onnx, tmp_path_factory.mktemp("hostile") / "network")),
        file="saved_model",
        format="savedmodel",
    )
    stolen = folder.parent / "stolen"
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, None, 4), tf.float32, IMAGE)])
    def predict(image):
        with tf.control_dependencies([tf.io.write_file(str(stolen), tf.io.read_file("/etc/hostname"))]):
            return {PROBABILITIES: tf.sigmoid(image[..., :3])}

    module.predict = predict
    tf.saved_model.save(module, str(folder / "saved_model"), signatures={"serving_default": predict})
    return folder, stolen


@pytest.mark.parametrize("part", [".", "saved_model", DESCRIPTION])
def test_a_saved_model_does_not_run_unless_it_is_trusted(part, hostile_saved_model, phantom_root, tmp_path, capsys):
    folder, stolen = hostile_saved_model
    told = [f"run={folder / part}", f"input={phantom_root}", f"output={tmp_path / 'masks'}", "device=cpu"]
    assert main(["predict", *told]) == 2
    said = capsys.readouterr().err
    assert f"{folder / 'saved_model'}: a SavedModel is a program" in said and "Traceback" not in said
    assert "trust=true" in said and "ONNX or .keras" in said
    assert "a SavedModel is a program" in refusal(load, folder / part, device="cpu", log=lambda sentence: None)
    assert not stolen.exists() and not (tmp_path / "masks").exists()


def test_a_saved_model_runs_if_it_is_trusted(hostile_saved_model):
    folder, stolen = hostile_saved_model
    network = load(folder, device="cpu", trust=True, log=lambda sentence: None).networks[0]
    assert network.forward(np.zeros((1, 4, 4, 4, 4), np.float16)).shape == (1, 4, 4, 4, 3)
    assert stolen.exists()  # which shows that the refusal is needed
    stolen.unlink()


def test_trust_is_explained_where_the_user_looks(capsys):
    assert main(["predict", "--help"]) == 0
    assert "trust" in (said := capsys.readouterr().out) and "SavedModel" in said
    for page in ("docs/PREDICTION.md", "SECURITY.md"):
        assert "trust=true" in (ROOT / page).read_text(encoding="utf-8")


# Names and links


@pytest.fixture
def network(small_onnx, tmp_path):
    return without_hashes(shutil.copytree(small_onnx, tmp_path / "network"))


@pytest.mark.parametrize("name", ["../elsewhere/model.onnx", "/etc/passwd", "a/b", "..\\x", "C:x", "", ".", "..", 7])
def test_a_description_names_no_path(name, network, tmp_path):
    shutil.copytree(network, tmp_path / "elsewhere")
    message = refusal(opened, changed(network, file=name))
    assert f"names the file {name!r}. Expected a plain file name" in message and DESCRIPTION in message


def test_a_link_out_of_the_folder_is_refused_and_one_within_it_or_named_by_the_user_is_followed(network, tmp_path):
    real = (network / "model.onnx").rename(tmp_path / "real.onnx")
    (network / "model.onnx").symlink_to(real)
    message = refusal(opened, network)
    assert f"{network / 'model.onnx'} is a link to {real}, in another folder" in message
    assert opened(network / "model.onnx").on_host  # the user named it
    (network / "model.onnx").unlink()
    shutil.copy(real, network / "other.onnx")
    (network / "model.onnx").symlink_to("other.onnx")
    assert opened(network).on_host


def test_openvino_reads_no_weights_through_a_link_and_no_other_format(network, tmp_path, trap):
    changed(network, file="model.xml", format="openvino")
    (network / "model.xml").write_text("<?xml version='1.0'?><net/>")
    (tmp_path / "secret").write_text("")
    (network / "model.bin").symlink_to(tmp_path / "secret")
    assert "model.bin is a link to" in refusal(open_exported, network, network / DESCRIPTION)
    (network / "model.xml").write_bytes(trap[0])
    assert "it is not an XML file" in refusal(runtimes.RUNTIMES["openvino"], network / "model.xml", "cpu")
    assert not trap[1].exists()


# ONNX


def write_onnx(path, location=None, *, where="graph", domain=""):
    """A network that adds an array, which lies in the file itself or at `location`."""
    import onnx
    from onnx import TensorProto, helper

    weights = helper.make_tensor("weights", TensorProto.FLOAT, [1], np.zeros(1, np.float32).tobytes(), raw=True)
    if location is not None:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value=location)
    shape = ["b", "x", "y", "z", 3]
    image, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in (IMAGE, PROBABILITIES))
    constant = [helper.make_node("Constant", [], ["weights"], value=weights)] if where == "node" else []
    inner = helper.make_graph([*constant], "inner", [], [], [weights] if where == "branch" else [])
    branch = [helper.make_node("If", ["yes"], ["unused"], then_branch=inner)] if where == "branch" else []
    add = helper.make_node("Add", [IMAGE, "weights"], [PROBABILITIES], domain=domain)
    graph = helper.make_graph(
        [*constant, *branch, add], "network", [image], [answer], [weights] if where == "graph" else []
    )
    opsets = [helper.make_opsetid("", 18)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    assert onnx.load(path, load_external_data=False).graph.name == "network"


@pytest.mark.parametrize("where", ["graph", "node", "branch"])
@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../secret", "*/_ORT_MEM_ADDR_/*"])
def test_onnx_weights_do_not_lie_at_a_path(location, where, network, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4))
    write_onnx(network / "model.onnx", location, where=where)
    message = refusal(opened, network)
    assert f"{network / 'model.onnx'} names the file {location!r}. Expected a plain file name" in message


def test_onnx_weights_are_not_read_through_a_link(network, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4))
    (network / "weights.bin").symlink_to(tmp_path / "secret")
    write_onnx(network / "model.onnx", "weights.bin")
    assert f"weights.bin is a link to {tmp_path / 'secret'}" in refusal(opened, network)


def test_onnx_weights_in_a_file_beside_it_are_read(network):
    write_onnx(network / "model.onnx", "weights.bin")
    (network / "weights.bin").write_bytes(np.float32(2).tobytes())
    assert locations(network / "model.onnx") == {"weights.bin"}
    zeros = np.zeros((1, 2, 2, 2, 3), np.float16)
    np.testing.assert_array_equal(opened(network).forward(zeros), np.full(zeros.shape, 2, np.float32))


def test_onnx_with_operations_of_a_library_is_refused(network):
    write_onnx(network / "model.onnx", domain="of.a.stranger")
    assert "model.onnx: cannot be read as an ONNX network" in refusal(opened, network)


def test_the_onnx_fields_are_those_of_the_package_onnx():
    import onnx

    def leads_to_tensors(kind, seen=()):
        inner = {field.message_type for field in kind.fields if field.message_type}
        return kind.name == "TensorProto" or any(
            leads_to_tensors(one, (*seen, one.name)) for one in inner if one.name not in seen
        )

    kinds = {
        kind.name.removesuffix("Proto"): kind for kind in onnx.ModelProto.DESCRIPTOR.file.message_types_by_name.values()
    }
    for name, known in FIELDS.items():
        wanted = {
            field.number: field.message_type.name.removesuffix("Proto")
            for field in kinds[name].fields
            if field.message_type and leads_to_tensors(field.message_type)
        }
        assert known == (wanted if name != "Tensor" else {kinds[name].fields_by_name["external_data"].number: ENTRY})
    entry = kinds["StringStringEntry"].fields_by_name
    assert (entry["key"].number, entry["value"].number) == (KEY, VALUE)


# .keras


@pytest.fixture(scope="module")
def keras_members(small_run, tmp_path_factory):
    """What the network of `small_run` holds as `.keras`: {name: bytes}."""
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    trained_model(small_run.folder, which="last", policies={})[0].save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def keras_of(keras_members, small_run, tmp_path):
    """Write the network of `small_run` as `.keras` with other members, such as config__json=…; None leaves one out."""

    def write(packed=zipfile.ZIP_STORED, **other):
        path = tmp_path / "model.keras"
        shutil.copy(small_run.folder / "recipe.json", tmp_path)
        with zipfile.ZipFile(path, "w", packed) as archive:
            for name, content in {
                **keras_members,
                **{key.replace("__", "."): value for key, value in other.items()},
            }.items():
                if content is not None:
                    archive.writestr(name, content)
        return path

    return write


@pytest.fixture
def config_of(keras_of, keras_members):
    """Write it with its configuration changed by a function."""

    def write(change):
        config = json.loads(keras_members[CONFIG])
        change(config)
        return keras_of(config__json=json.dumps(config))

    return write


@pytest.fixture
def weights_of(keras_of, keras_members):
    """Write it with its HDF5 file changed by a function of (the file, the name of an array in it)."""

    def write(change):
        content = io.BytesIO(keras_members[WEIGHTS])
        with h5py.File(content, "r+") as stored:
            names = []
            stored.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            change(stored, names[0])
        return keras_of(model__weights__h5=content.getvalue())

    return write


def test_the_network_of_a_run_passes_also_compiled(keras_of, config_of):
    refuse_unsafe_keras(keras_of())
    optimizer = {"optimizer": {"module": "keras.optimizers", "class_name": "Adam", "config": {}}}
    assert keras_file(config_of(lambda config: config.update(compile_config=optimizer))).count_params() > 0


@pytest.mark.parametrize("outputs", ["regions", "labels"])
def test_an_exported_network_passes(outputs, tmp_path):  # for trained ones, see tests/models/test_every_network.py
    name, options = "unet2d", contract_options_of(MODELS["unet2d"])[0]
    model = MODELS[name](channels=4, outputs=4 if outputs == "labels" else 3, dtype="float32", seed=0, **options)
    keras_archive._refuse_config(tmp_path, json.loads(probability_model(model, outputs, builtin()).to_json()))


def test_every_allowed_class_only_computes():
    import keras

    kinds = (keras.Operation, keras.initializers.Initializer, keras.regularizers.Regularizer, keras.DTypePolicy)
    for module, names in ALLOWED.items():
        for name in names:
            assert issubclass(getattr(importlib.import_module(module), name), kinds)
    readers = {
        "Lambda",
        "TFSMLayer",
        "TorchModuleWrapper",
        "JaxLayer",
        "FlaxLayer",
        "StringLookup",
        "TextVectorization",
    }
    assert readers.isdisjoint(ALLOWED["keras.layers"])


def layer(module, name, registered=None, /, **config):
    return {"module": module, "class_name": name, "config": {"name": "x", **config}, "registered_name": registered}


@pytest.mark.parametrize(
    "described",
    [
        layer("keras.layers", "Lambda", function={"class_name": "__lambda__", "config": {}}),
        {"class_name": "__lambda__", "config": {"value": "0"}},
        {"class_name": "Lambda", "config": {}},
        layer("keras.layers", "TFSMLayer", filepath="/elsewhere/saved_model"),
        layer("keras.layers", "TorchModuleWrapper", module="0"),
        layer("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
        layer("keras.layers", "Activation", activation=layer("os", "system")),
        {"module": "builtins", "class_name": "function", "config": "print", "registered_name": "print"},
        {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"},
        {"module": "keras.config", "class_name": "enable_unsafe_deserialization", "config": {}},
        layer("keras.layers", "Activation", "Theirs>Activation"),
        layer("a_package_of_theirs.layers", "Mine", "Theirs>Mine"),
        layer(["keras.layers"], "Activation"),
        layer("keras.layers", ["Activation"]),
    ],
    ids=lambda described: f"{described.get('module')}.{described['class_name']}",
)
@pytest.mark.parametrize("hidden", [False, True])
def test_a_keras_file_names_only_stock_layers(described, hidden, config_of):
    def change(config):
        layers = config["config"]["layers"]
        if hidden:
            layers[-1]["build_config"] = {"deep": [{"deeper": described}]}
        else:
            layers.append(described)

    message = refusal(opened, config_of(change))
    assert "model.keras: refused as a Keras model: its config.json names the class" in message


def test_the_function_of_a_lambda_layer_does_not_run(tmp_path, monkeypatch):
    import keras

    monkeypatch.chdir(tmp_path)
    mark, file = Path("the lambda ran"), tmp_path / "model.keras"
    image = keras.Input((None, None, None, 4))
    keras.Model(image, keras.layers.Lambda(lambda x: (open("the lambda ran", "w").close(), x)[1])(image)).save(file)
    mark.unlink()
    assert "keras.layers.Lambda" in refusal(keras_file, file)
    keras.config.enable_unsafe_deserialization()  # as a part of another package may have done
    try:
        assert "keras.layers.Lambda" in refusal(keras_file, file)
        assert not mark.exists()
        keras.saving.load_model(file, compile=False, safe_mode=True)
        assert mark.exists()  # Keras alone runs it, though it was told safe_mode=True
    finally:
        keras.src.backend.common.global_state.set_global_attribute("safe_mode_saving", None)


def test_a_registered_class_of_this_process_is_refused_too(tmp_path):
    import keras

    @keras.saving.register_keras_serializable("Theirs")
    class Mine(keras.layers.Layer):
        def call(self, x):
            return x

    image = keras.Input((None, None, None, 4))
    keras.Model(image, Mine()(image)).save(tmp_path / "model.keras")
    assert "give its run folder" in refusal(keras_file, tmp_path / "model.keras")


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "assets/x", "model.weights.npz", "a\\b"])
def test_a_keras_file_holds_no_other_members(name, keras_of):
    path = keras_of()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"")
    assert f"it holds {name!r}; expected only {', '.join(MEMBERS)}" in refusal(opened, path)


def test_a_keras_file_holds_each_member_once(keras_of):
    path = keras_of()
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(CONFIG, b"{}")
    assert "each once" in refusal(opened, path)
    assert f"expected {', '.join(MEMBERS)}, each once" in refusal(opened, keras_of(config__json=None))


def test_a_keras_file_does_not_unpack_to_an_absurd_size(keras_of, monkeypatch):
    bomb = keras_of(zipfile.ZIP_DEFLATED, model__weights__h5=bytes(2**24))
    assert "model.weights.h5 unpacks from 16 KiB to 16.0 MiB" in refusal(opened, bomb)
    monkeypatch.setitem(keras_archive.MEMBERS, CONFIG, 2000)
    assert "its config.json unpacks from" in refusal(opened, keras_of())


def test_a_keras_file_is_not_nested_beyond_reason(keras_of):
    assert "nested more than 100 levels" in refusal(opened, keras_of(config__json="[" * 200 + "]" * 200))
    assert "not readable as JSON" in refusal(opened, keras_of(config__json="[" * 200_000))


def test_a_keras_file_that_is_no_archive_is_refused(keras_of, tmp_path):
    path = keras_of()
    path.write_bytes(path.read_bytes()[:2000])
    assert "not a readable zip archive" in refusal(opened, path)
    assert "not readable as HDF5" in refusal(opened, keras_of(model__weights__h5=b"no weights"))
    assert "with the ending .keras" in refusal(keras_file, keras_of().rename(tmp_path / "model.h5"))


def replaced(make):
    def change(stored, name):
        del stored[name]
        make(stored, name)

    return change


def virtual(stored, name):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/secret.h5", "weights", (4,))
    stored.create_virtual_dataset(name, layout)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda stored, name: stored.__setitem__(name, h5py.ExternalLink("/etc/secret.h5", "/weights")), "is a link"),
        (lambda stored, name: stored.__setitem__(name, h5py.SoftLink("/elsewhere")), "is a link"),
        (virtual, "reads another file"),
        (
            lambda stored, name: stored.create_dataset(name, (11,), "u1", external=[("/etc/passwd", 0, 11)]),
            "reads another file",
        ),
        (lambda stored, name: stored.create_dataset(name, (2**40,), "f4", chunks=(2**20,)), "unpacks from"),
        (lambda stored, name: stored.create_dataset(name, data=np.zeros(2**20), compression="gzip"), "unpacks from"),
        (lambda stored, name: stored.create_dataset(name, data="words"), "not numbers"),
        (lambda stored, name: stored.create_dataset(name, dtype="f4"), "is not an array"),
        (lambda stored, name: stored.__setitem__(name, stored), "is stored twice"),
    ],
    ids=["external link", "soft link", "virtual", "external storage", "unwritten", "packed", "text", "null", "cycle"],
)
def test_the_weights_of_a_keras_file_lie_in_it(change, words, weights_of):
    message = refusal(opened, weights_of(replaced(change)))
    assert "model.keras: refused as a Keras model" in message and words in message


def test_an_external_link_to_weights_of_the_same_shape_is_not_read(weights_of, tmp_path):
    def change(stored, name):
        with h5py.File(tmp_path / "secret.h5", "w") as secret:
            secret["weights"] = np.full_like(stored[name], 7)
        del stored[name]
        stored[name] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/weights")

    assert "is a link" in refusal(keras_file, weights_of(change))


# Pickles under any name


def test_a_pickle_is_refused_as_a_keras_file(trap, small_run, tmp_path):
    shutil.copy(small_run.folder / "recipe.json", tmp_path)
    (tmp_path / "model.keras").write_bytes(trap[0])
    assert "not a readable zip archive" in refusal(opened, tmp_path / "model.keras")
    assert not trap[1].exists()


def test_a_pickle_is_refused_as_a_checkpoint(trap, small_run, tmp_path):
    run = Path(shutil.copytree(small_run.folder, tmp_path / "run"))
    (run / "checkpoints" / "last.safetensors").write_bytes(trap[0])
    assert "last.safetensors: not readable as a checkpoint" in refusal(opened, run)
    assert not trap[1].exists()


def test_a_pickle_is_refused_as_an_onnx_file(trap, network):
    (network / "model.onnx").write_bytes(trap[0])
    assert "cannot be read as an ONNX network" in refusal(opened, network)
    assert not trap[1].exists()


def test_a_normalisation_whose_epsilon_is_no_number_is_refused(config_of):
    def change(config):
        norm = next(one for one in config["config"]["layers"] if "epsilon" in one["config"])
        norm["config"]["epsilon"] = {"a": 1}

    assert "model.keras: cannot be read as a Keras model" in refusal(opened, config_of(change))


def test_an_onnx_file_with_a_name_that_is_no_text_is_refused(network):
    data = (network / "model.onnx").read_bytes()
    name = b"region_probabilities"
    assert data.count(name) > 1
    at = data.index(name)
    (network / "model.onnx").write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    assert "cannot be read as an ONNX network" in refusal(opened, network)


@pytest.mark.parametrize("name", ["recipe.json", "settings.json"])
def test_a_pickle_is_refused_as_json(name, trap, tmp_path):
    (tmp_path / name).write_bytes(trap[0])
    assert "not readable as JSON" in refusal(read_json, tmp_path / name, what="x")
    (tmp_path / name).write_text("[" * 200_000)
    assert "not readable as JSON" in refusal(read_json, tmp_path / name, what="x")
    assert not trap[1].exists()


def objects(trap):
    """An NPZ file whose arrays hold objects, which NumPy stores as pickles."""
    content = io.BytesIO()
    np.savez(content, **{name: np.array([Trap(trap[1])], object) for name in ("state", "spacing_mm")})
    return content.getvalue()


@pytest.mark.parametrize("inside", [False, True])
def test_a_pickle_is_no_mean_shape(inside, trap, tmp_path):
    file = tmp_path / "mean_shape.npz"
    file.write_bytes(objects(trap) if inside else trap[0])
    assert mean_shape_file._read(file, "state") is None  # it is computed anew
    assert not trap[1].exists()


@pytest.mark.parametrize("inside", [False, True])
def test_a_pickle_is_no_stored_prediction_of_tune(inside, trap, tmp_path):
    (tmp_path / "case.npz").write_bytes(objects(trap) if inside else trap[0])
    message = refusal(_read_case, tmp_path, Case("case", "patient", {}), builtin())
    assert "case.npz: not readable as arrays of numbers" in message and "Delete it" in message
    assert not trap[1].exists()


def test_every_reader_of_arrays_refuses_pickles_and_nothing_imports_pickle():
    files = [path for folder in ("brats_unet", "scripts") for path in (ROOT / folder).rglob("*.py")]
    readers, imported = [], set()
    for path in files:
        text = path.read_text(encoding="utf-8")
        imported |= set(re.findall(r"^\s*(?:from|import) (\w+)", text, re.MULTILINE))
        if "np.load(" in text:
            calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
            readers += [ast.unparse(call) for call in calls if ast.unparse(call.func) == "np.load"]
    assert len(readers) > 5 and [call for call in readers if "allow_pickle=False" not in call] == []
    assert "numpy" in imported
    assert imported.isdisjoint({"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"})


# Run folders


def test_a_run_cannot_name_code(small_run, tmp_path):
    run = Path(shutil.copytree(small_run.folder, tmp_path / "run"))
    recipe = json.loads((run / "recipe.json").read_text())
    recipe["model"]["name"] = "os.system"
    write_json(run / "recipe.json", recipe)
    with pytest.raises(SettingsError, match="no model named os.system"):
        opened(run)


def test_a_checkpoint_may_be_a_link_that_the_user_made(small_run, tmp_path):
    run = Path(shutil.copytree(small_run.folder, tmp_path / "run"))
    real = (run / "checkpoints" / "last.safetensors").rename(tmp_path / "real.safetensors")
    (run / "checkpoints" / "last.safetensors").symlink_to(real)
    assert opened(run).on_host


def test_a_changed_bit_of_a_keras_file_is_refused(small_run, tmp_path):
    """By the checksums of zip, so that no run's model.keras needs another hash."""
    model, _ = trained_model(small_run.folder, which="last", policies={})
    file = tmp_path / "model.keras"
    model.save(file)
    content, rng = file.read_bytes(), np.random.default_rng(0)
    for place in rng.integers(0, len(content), 60):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            keras_file(file)

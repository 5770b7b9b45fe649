import hashlib
import json
import os
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from brats_unet.errors import CheckpointError, MachineError
from brats_unet.models import checkpoint
from brats_unet.models.checkpoint import (
    DamagedCheckpointError,
    State,
    copies,
    named,
    restore,
    tensors_hash,
    write,
)
from brats_unet.models.unet import unet3d


def built(seed=0, optimizer="adam", **options):
    """A tiny network and an optimizer that has done one update."""
    model = unet3d(channels=2, outputs=3, seed=seed, **{"features": [4, 8], "convolutions": 1, **options})
    if optimizer == "adam":
        rule = keras.optimizers.Adam(0.01, name="adam")
    else:
        rule = keras.optimizers.SGD(0.01, momentum=0.9, name="sgd")
    rule.build(model.trainable_variables)
    rng = np.random.default_rng(seed)
    rule.apply(
        [rng.normal(size=w.shape).astype("float32") for w in model.trainable_variables], model.trainable_variables
    )
    return model, rule


def save(path, model, rule, state, average=None):
    write(path, copies(model, rule, average), state)


def values(model, rule):
    return {key: np.asarray(variable) for key, variable in named(model, rule).items()}


@pytest.fixture(scope="module")
def trained():
    return built(seed=1)


@pytest.fixture
def path(tmp_path, trained):
    path = tmp_path / "checkpoints" / "last.safetensors"
    save(path, *trained, State(7, [1024.0, 3], 0.5))
    return path


def test_weights_optimizer_and_state_come_back_to_the_last_bit(path, trained):
    other = built(seed=2)
    assert not np.array_equal(trained[0].get_weights()[0], other[0].get_weights()[0])
    assert restore(path, *other) == State(7, [1024.0, 3], 0.5)
    there, here = values(*trained), values(*other)
    assert there.keys() == here.keys() and any(key.startswith("optimizer/") for key in here)
    for key, value in there.items():
        assert value.dtype == here[key].dtype
        np.testing.assert_array_equal(value, here[key], err_msg=key)


def test_the_running_mean_of_patches_comes_back(path, trained):
    save(path, *trained, State(7, best=0.5, running_mean=0.25))
    assert restore(path, *trained) == State(7, best=0.5, running_mean=0.25)


def test_without_an_optimizer_the_weights_alone_come_back(path, trained):
    model, rule = built(seed=2)
    before = [np.asarray(v) for v in rule.variables]
    restore(path, model, None)
    for ours, theirs in zip(model.get_weights(), trained[0].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for old, now in zip(before, rule.variables, strict=True):
        np.testing.assert_array_equal(old, np.asarray(now))


def test_moving_statistics_of_batch_normalisation_come_back_with_and_without_an_optimizer(tmp_path):
    model, rule = built(norm="batch")
    model(np.random.default_rng(0).normal(size=(2, 4, 4, 4, 2)), training=True)
    save(tmp_path / "a.safetensors", model, rule, State(1))
    for optimizer in (True, False):
        other, its_rule = built(seed=3, norm="batch")
        restore(tmp_path / "a.safetensors", other, its_rule if optimizer else None)
        moved = [np.asarray(v) for v in model.non_trainable_variables]
        assert moved and not any(np.array_equal(v, np.round(v)) for v in moved)
        for here, there in zip(other.non_trainable_variables, moved, strict=True):
            np.testing.assert_array_equal(np.asarray(here), there)


def test_a_new_run_has_neither_scale_nor_best(tmp_path, trained):
    save(tmp_path / "a.safetensors", *trained, State(0))
    assert restore(tmp_path / "a.safetensors", *trained) == State(0, None, None)


def test_the_steps_left_out_come_back_and_a_checkpoint_of_an_earlier_version_has_none(tmp_path, trained):
    save(tmp_path / "a.safetensors", *trained, State(9, left_out=[3, 7]))
    assert restore(tmp_path / "a.safetensors", *trained) == State(9, left_out=[3, 7])
    earlier = {"step": 9, "loss_scale": None, "best": 0.5, "seconds": 2}
    save_file(load_file(tmp_path / "a.safetensors"), tmp_path / "b.safetensors", {"state": json.dumps(earlier)})
    assert restore(tmp_path / "b.safetensors", *trained) == State(9, None, 0.5, 2, left_out=[])


def test_a_run_without_spikes_and_patches_has_the_state_of_earlier_versions_and_hashes(path):
    with safe_open(path, framework="numpy") as file:
        facts = json.loads(file.metadata()["state"])
    hashes, tensors = facts.pop("blake2b"), load_file(path)
    assert facts == {"step": 7, "loss_scale": [1024.0, 3], "best": 0.5, "seconds": None}
    text = '{"best": 0.5, "loss_scale": [1024.0, 3], "seconds": null, "step": 7}'
    assert hashes.pop("facts") == hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    assert hashes == {
        group: tensors_hash({key: tensor for key, tensor in tensors.items() if key.startswith(f"{group}/")})
        for group in ("optimizer", "weights")
    }


def test_the_hash_of_a_checkpoint_of_an_earlier_version_is_compared_on_resume(tmp_path, path, trained):
    tensors = load_file(path)
    facts = {"step": 7, "loss_scale": None, "best": 0.5, "seconds": 2, "blake2b": tensors_hash(tensors)}
    earlier = tmp_path / "earlier.safetensors"
    save_file(tensors, earlier, {"state": json.dumps(facts)})
    assert restore(earlier, *trained) == State(7, None, 0.5, 2)
    save_file(tensors, earlier, {"state": json.dumps({**facts, "blake2b": "0" * 32})})
    with pytest.raises(DamagedCheckpointError, match="damaged: by its hash, its tensors is not"):
        restore(earlier, *trained)
    restore(earlier, trained[0], None)


def test_a_validation_that_is_pending_comes_back(tmp_path, trained):
    save(tmp_path / "a.safetensors", *trained, State(9, validation_pending=True))
    assert restore(tmp_path / "a.safetensors", *trained) == State(9, validation_pending=True)


def test_the_hash_sees_every_key_type_shape_and_value():
    tensors = {"a": np.arange(6, dtype=np.float32), "b": np.zeros((), np.int64)}
    first = tensors_hash(tensors)
    assert tensors_hash(dict(reversed(tensors.items()))) == first
    others = [
        {"a": tensors["a"]},
        {"c": tensors["a"], "b": tensors["b"]},
        {"a": tensors["a"].reshape(2, 3), "b": tensors["b"]},
        {"a": tensors["a"].view(np.int32), "b": tensors["b"]},
        {"a": np.float32([0, 1, 2, 3, 4, 6]), "b": tensors["b"]},
        {"a": tensors["a"], "b": np.ones((), np.int64)},
    ]
    assert len({first, *map(tensors_hash, others)}) == 7


@pytest.mark.parametrize("resumes", [True, False])
def test_a_changed_bit_anywhere_is_refused_or_changes_nothing(path, resumes):
    """Also in the header, which holds names, shapes, places, the state and the hashes."""
    content, other = path.read_bytes(), built(seed=2)
    before, header = copies(*other), 8 + int.from_bytes(path.read_bytes()[:8], "little")
    right = built(seed=3)
    expected = restore(path, right[0], right[1] if resumes else None)
    values_then = copies(*right)
    rng = np.random.default_rng(0)
    places = [*rng.integers(0, header, 300), *rng.integers(header, len(content), 100)]
    noticed = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            found = restore(path, other[0], other[1] if resumes else None)
        except CheckpointError:
            noticed += 1
            assert all(np.array_equal(value, before[key]) for key, value in values(*other).items())
            continue
        assert found == expected
        now = values(*other)
        kept = values_then if resumes else {k: v for k, v in values_then.items() if k.startswith("weights/")}
        assert all(np.array_equal(now[key], value) for key, value in kept.items())
        other = built(seed=2)
    assert noticed >= (300 if resumes else 200)


def test_copies_keep_their_values_when_the_variables_change():
    model, rule = built(seed=4)
    found = copies(model, rule)
    before = {key: value.copy() for key, value in found.items()}
    for variable in (*model.variables, *rule.variables):
        variable.assign(keras.ops.ones_like(variable) * 5)
    for key, value in found.items():
        np.testing.assert_array_equal(value, before[key])


def test_tensors_are_called_after_their_layers_in_a_file_that_anyone_can_read(path):
    tensors = load_file(path)
    assert tensors["weights/encoder_0_conv_0/kernel"].shape == (3, 3, 3, 2, 4)
    assert all(tensors[key].dtype == np.float32 for key in tensors if key.startswith("weights/"))
    with safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["state"])["step"] == 7


def test_a_batch_norms_running_statistics_are_part_of_it(tmp_path):
    model, rule = built(norm="batch")
    model.get_layer("encoder_0_norm_0").moving_mean.assign(np.full(4, 3.0))
    save(tmp_path / "a.safetensors", model, rule, State(1))
    other = built(norm="batch")
    restore(tmp_path / "a.safetensors", *other)
    assert np.asarray(other[0].get_layer("encoder_0_norm_0").moving_mean).tolist() == [3.0] * 4


@pytest.mark.parametrize(
    ("options", "layer"),
    [
        ({"features": [4, 8, 8]}, "decoder_1_conv_0/"),
        ({"features": [4, 12]}, "decoder_0_up/kernel"),
        ({"norm": "none"}, "encoder_0_norm_0/"),
    ],
)
def test_another_network_is_refused_naming_layers_and_is_left_as_it_was(path, options, layer):
    model, rule = built(**options)
    before = values(model, rule)
    with pytest.raises(CheckpointError, match="holds another network") as caught:
        restore(path, model, None)
    assert layer in str(caught.value)
    with pytest.raises(CheckpointError, match="holds another network"):
        restore(path, model, rule)
    for key, value in values(model, rule).items():
        np.testing.assert_array_equal(value, before[key])


def test_another_optimizer_is_refused(path):
    with pytest.raises(CheckpointError, match=r"tensors differ, the first of them .*adam"):
        restore(path, *built(optimizer="sgd"))


@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_a_checkpoint_cut_short_is_refused(path, trained, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"last\.safetensors: not readable as a checkpoint"):
        restore(path, *trained)


def test_what_is_no_checkpoint_of_ours_is_refused(tmp_path, trained):
    rubbish = tmp_path / "rubbish.safetensors"
    rubbish.write_bytes(b"\x80\x04 a pickle, perhaps" * 9)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": np.zeros(3)}, foreign)
    stateless = tmp_path / "stateless.safetensors"
    save_file({"a": np.zeros(3)}, stateless, metadata={"state": '{"steps": 3}'})
    for file in (rubbish, foreign, stateless):
        with pytest.raises(CheckpointError, match="not readable as a checkpoint"):
            restore(file, *trained)


def test_a_missing_checkpoint_and_a_folder_are_refused(tmp_path, trained):
    with pytest.raises(CheckpointError, match="no such checkpoint. Train first"):
        restore(tmp_path / "none.safetensors", *trained)
    with pytest.raises(CheckpointError):
        restore(tmp_path, *trained)


def test_no_pickle_is_written_or_read(path, trained, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("pickle")

    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(f"pickle.{name}", never)
    save(path, *trained, State(8))
    assert restore(path, *trained).step == 8


def test_a_full_disk_leaves_the_checkpoint_before(path, trained, monkeypatch):
    before = path.read_bytes()

    def full(tensors, target, metadata):
        with open(target, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(MachineError, match="No space left on device"):
        save(path, *trained, State(8))
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_others_may_read_a_checkpoint_as_the_user_s_umask_says(tmp_path, trained):
    before = os.umask(0o027)
    try:
        save(tmp_path / "a.safetensors", *trained, State(8))
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o640


def test_two_variables_of_one_name_are_refused():
    twins = SimpleNamespace(variables=[SimpleNamespace(path="conv/kernel")] * 2)
    with pytest.raises(ValueError, match="Two variables are called weights/conv/kernel: name the layers apart"):
        named(twins, None)


def doubled(model):
    """Averages that are twice the weights."""
    return {v.path: keras.Variable(2 * np.asarray(v)) for v in model.trainable_variables}


def test_averages_lie_beside_the_weights_and_come_back_with_the_optimizer(tmp_path, trained):
    model, rule = trained
    save(tmp_path / "a.safetensors", model, rule, State(1), doubled(model))
    other, its_rule = built(seed=2)
    averages = {v.path: keras.Variable(np.zeros(v.shape)) for v in other.trainable_variables}
    restore(tmp_path / "a.safetensors", other, its_rule, averages)
    for weight, there in zip(other.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(np.asarray(weight), np.asarray(there))
        np.testing.assert_array_equal(np.asarray(averages[weight.path]), 2 * np.asarray(there))


def test_to_predict_the_averages_are_taken_and_what_has_none_is_as_it_was(tmp_path):
    model, rule = built(norm="batch")
    model.get_layer("encoder_0_norm_0").moving_mean.assign(np.full(4, 3.0))
    save(tmp_path / "a.safetensors", model, rule, State(1), doubled(model))
    other, _ = built(seed=2, norm="batch")
    restore(tmp_path / "a.safetensors", other, None)
    for weight, there in zip(other.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(np.asarray(weight), 2 * np.asarray(there))
    assert np.asarray(other.get_layer("encoder_0_norm_0").moving_mean).tolist() == [3.0] * 4


def test_averages_that_are_missing_are_refused_and_so_are_those_not_asked_for(tmp_path, path, trained):
    model, rule = trained
    with pytest.raises(CheckpointError, match="holds another network"):
        restore(path, model, rule, doubled(model))
    save(tmp_path / "a.safetensors", model, rule, State(1), doubled(model))
    with pytest.raises(CheckpointError, match="holds another network"):
        restore(tmp_path / "a.safetensors", model, rule)

"""Keras' own settings: the variable KERAS_BACKEND, keras.json and an earlier import cannot change what is computed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brats_unet import hardware
from brats_unet.errors import MachineError
from brats_unet.nifti import write_volume
from brats_unet.volume import Volume

ROOT = Path(__file__).resolve().parents[1]
NOTE = "KERAS_BACKEND=jax is ignored: brats-unet computes with TensorFlow."
# Builds a network behind the import of `brats-unet train`, and prints the settings of Keras.
BUILD = """
from brats_unet.cli.main import _command
_command("train")
import keras
from brats_unet import models
from brats_unet.parts import build
settings = {"name": "unet3d", "features": [4, 8], "strides": [1, 2], "deep_supervision": False}
model = build("model", models.known(), settings, channels=4, outputs=3, dtype="float32", seed=0)
print(keras.backend.backend(), keras.config.image_data_format(), keras.config.floatx(), keras.config.epsilon(),
      model(keras.ops.zeros((1, 8, 8, 8, 4))).shape, keras.dtype_policies.DTypePolicy(keras.config.floatx()).name)
"""


def python(code, home, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KERAS")}
    environment = {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", code] if isinstance(code, str) else [sys.executable, "-m", "brats_unet", *code]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def keras_json(home, **changes):
    standard = {"floatx": "float32", "epsilon": 1e-7, "backend": "tensorflow", "image_data_format": "channels_last"}
    (home / ".keras").mkdir()
    (home / ".keras" / "keras.json").write_text(json.dumps({**standard, **changes}))


def test_training_computes_the_same_under_any_keras_json_and_variable(tmp_path):
    keras_json(tmp_path, backend="torch", image_data_format="channels_first", floatx="float16", epsilon=1e-3)
    done = python(BUILD, tmp_path, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "tensorflow channels_last float32 1e-07 (1, 8, 8, 8, 3) float32"
    assert done.stderr.strip() == NOTE


def test_an_empty_variable_does_not_leave_the_choice_to_keras_json(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with hardware.quiet_tensorflow():
        assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_a_keras_json_that_keras_rejects_is_one_sentence(tmp_path):
    keras_json(tmp_path, epsilon=1)
    done = python(["train", "name=x"], tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "error: Keras rejects its file keras.json, in $KERAS_HOME or ~/.keras: Invalid `epsilon`" in done.stderr


def test_a_command_without_keras_says_nothing_about_the_variable(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_volume(tmp_path / name / "x.nii.gz", Volume(np.full((4, 4, 4), 4, np.uint8)))
    told = ["fuse", f"inputs=[{tmp_path / 'a'},{tmp_path / 'b'}]", f"output={tmp_path / 'out'}", "labels=brats2017"]
    done = python(told, tmp_path, KERAS_BACKEND="jax")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"backend": "jax"}, "imported with the backend jax, .* set the environment variable KERAS_BACKEND=tensorflow"),
        ({"floatx": "float16"}, r"set to floatx=float16. Expected float32: call keras.config.set_floatx\('float32'\)"),
        ({"image_data_format": "channels_first"}, "set to image_data_format=channels_first. Expected channels_last"),
        ({"epsilon": 1e-3}, r"set to epsilon=0.001. Expected 1e-07: call keras.config.set_epsilon\(1e-07\) first"),
    ],
)
def test_a_notebook_that_imported_keras_otherwise_is_refused(found, message, small_run, monkeypatch):
    from brats_unet import load

    settings = {"backend": "tensorflow", **hardware.KERAS, **found}
    config = SimpleNamespace(**{name: lambda value=value: value for name, value in settings.items()})
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(config=config))
    with pytest.raises(MachineError, match=message):
        load(small_run.folder)

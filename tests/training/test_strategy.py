from types import SimpleNamespace

import pytest
import tensorflow as tf

from brats_unet.errors import MachineError, SettingsError
from brats_unet.training import strategy
from brats_unet.training.strategy import choose_devices, natural_precision

PLAIN = {"device": "auto", "precision": "auto", "jit": "auto", "replicas": None}


@pytest.fixture
def machine(monkeypatch):
    """Function that imitates a machine with some GPUs and a CPU with or without bfloat16, and records the settings."""

    def pretend(gpus=0, capability=(8, 0), bfloat16=False):
        fake_gpus = [SimpleNamespace(name=f"gpu{i}") for i in range(gpus)]
        done = SimpleNamespace(visible=None, growing=[])
        config = strategy.tf.config
        monkeypatch.setattr(config, "list_physical_devices", lambda kind: fake_gpus if kind == "GPU" else ["cpu"])
        monkeypatch.setattr(config, "set_visible_devices", lambda devices, kind: setattr(done, "visible", devices))
        monkeypatch.setattr(config.experimental, "set_memory_growth", lambda gpu, on: done.growing.append(gpu.name))
        details = {"compute_capability": capability, "device_name": "NVIDIA Test"}
        monkeypatch.setattr(config.experimental, "get_device_details", lambda gpu: details)
        monkeypatch.setattr(strategy, "cpu_has_bfloat16", lambda: bfloat16)
        monkeypatch.setattr(strategy.tf.distribute, "MirroredStrategy", lambda *names: SimpleNamespace(names=names))
        return done

    return pretend


@pytest.mark.parametrize(("bfloat16", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_auto_without_a_gpu_is_the_cpu_in_its_best_precision_without_xla(machine, bfloat16, precision):
    machine(bfloat16=bfloat16)
    found = choose_devices(**PLAIN)
    assert (found.replicas, found.precision, found.jit) == (1, precision, False)
    assert found.description.startswith("CPU, ") and found.strategy is tf.distribute.get_strategy()


@pytest.mark.parametrize(("capability", "precision"), [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float16")])
def test_auto_with_one_gpu_is_that_gpu_with_xla_and_memory_growth(machine, capability, precision):
    done = machine(1, capability, bfloat16=True)
    found = choose_devices(**PLAIN)
    assert (found.replicas, found.precision, found.jit) == (1, precision, True)
    assert found.description == "NVIDIA Test" and done.growing == ["gpu0"]


def test_auto_with_several_gpus_mirrors_on_all_of_them(machine):
    done = machine(4)
    found = choose_devices(**PLAIN)
    assert found.replicas == 4 and found.description == "4 × NVIDIA Test"
    assert done.growing == ["gpu0", "gpu1", "gpu2", "gpu3"]


def test_gpu_takes_the_first_of_several(machine):
    done = machine(4)
    found = choose_devices(**{**PLAIN, "device": "gpu"})
    assert found.replicas == 1 and [gpu.name for gpu in done.visible] == ["gpu0"]


def test_cpu_hides_the_gpus(machine):
    done = machine(2)
    found = choose_devices(**{**PLAIN, "device": "cpu"})
    assert (found.replicas, found.precision, found.jit) == (1, "float32", False)
    assert done.visible == [] and done.growing == []


def test_explicit_precision_and_xla_are_kept(machine):
    machine(1)
    found = choose_devices(**{**PLAIN, "precision": "float32", "jit": "off"})
    assert (found.precision, found.jit) == ("float32", False)
    machine(0)
    assert choose_devices(**{**PLAIN, "jit": "on"}).jit


@pytest.mark.parametrize(
    ("precision", "policy"), [("float32", "float32"), ("bfloat16", "mixed_bfloat16"), ("float16", "mixed_float16")]
)
def test_the_policy_is_mixed_precision(machine, precision, policy):
    machine()
    assert choose_devices(**{**PLAIN, "precision": precision}).policy == policy


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"device": "gpu"}, MachineError, "A GPU was requested, but TensorFlow finds no GPU"),
        ({"device": "mirrored"}, MachineError, "hardware=mirrored, but TensorFlow finds no GPU"),
        ({"replicas": 2}, SettingsError, "hardware.replicas is for hardware=mirrored"),
        ({"device": "workers"}, SettingsError, "hardware=workers is for `brats-unet train`. Use hardware=auto here"),
        ({"device": "mirrored", "replicas": 0}, SettingsError, "hardware.replicas=0: expected 1 or more"),
    ],
)
def test_an_impossible_choice_of_devices_is_refused(machine, change, error, message):
    machine()
    with pytest.raises(error, match=message):
        choose_devices(**{**PLAIN, **change})


def test_a_gpu_with_unknown_compute_capability_gets_float16(monkeypatch):
    monkeypatch.setattr(strategy.tf.config.experimental, "get_device_details", lambda gpu: {})
    assert natural_precision([object()]) == "float16"

"""GPUs are counted without TensorFlow."""

import subprocess

import pytest

from brats_unet import hardware


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A machine whose driver knows three GPUs, of which a container is given two."""
    for name in ("gpus/0000:01:00.0", "gpus/0000:02:00.0", "gpus/0000:03:00.0"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev" / name).touch()
    monkeypatch.setattr(hardware, "DRIVER_FOLDER", tmp_path / "gpus")
    monkeypatch.setattr(hardware, "DEVICE_FOLDER", tmp_path / "dev")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_a_container_has_the_gpus_it_was_given(driver):
    assert hardware.gpu_count() == 2


@pytest.mark.parametrize(
    ("visible", "count"),
    [("", 0), ("-1", 0), ("0", 1), ("1,0", 2), ("0,-1,1", 1), ("5", 0), ("GPU-0f1e", 1), ("0,1,1", 2)],
)
def test_cuda_visible_devices_hides_gpus(driver, monkeypatch, visible, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert hardware.gpu_count() == count


def test_a_machine_without_driver_has_none(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "DRIVER_FOLDER", tmp_path / "none")
    monkeypatch.setattr(hardware.shutil, "which", lambda name: None)
    assert hardware.gpu_count() == 0


def test_nvidia_smi_is_asked_where_proc_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "DRIVER_FOLDER", tmp_path / "none")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(hardware.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    listing = "GPU 0: NVIDIA T4 (UUID: GPU-1)\nGPU 1: NVIDIA T4 (UUID: GPU-2)\n"
    monkeypatch.setattr(
        hardware.subprocess, "run", lambda *args, **kwargs: subprocess.CompletedProcess(args, 0, stdout=listing)
    )
    assert hardware.gpu_count() == 2

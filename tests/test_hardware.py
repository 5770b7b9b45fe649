"""GPUs, memory and processor features, found without TensorFlow."""

import subprocess

import pytest

from brats_unet import hardware


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A machine whose driver lists three GPUs, two of which the container may use."""
    for name in ("gpus/0000:01:00.0", "gpus/0000:02:00.0", "gpus/0000:03:00.0"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev" / name).touch()
    monkeypatch.setattr(hardware, "DRIVER_FOLDER", tmp_path / "gpus")
    monkeypatch.setattr(hardware, "DEVICE_FOLDER", tmp_path / "dev")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_only_the_gpus_of_the_container_are_counted(driver):
    assert hardware.gpu_count() == 2


@pytest.mark.parametrize(
    ("visible", "count"),
    [("", 0), ("-1", 0), ("0", 1), ("1,0", 2), ("0,-1,1", 1), ("5", 0), ("GPU-0f1e", 1), ("0,1,1", 2)],
)
def test_cuda_visible_devices_hides_gpus(driver, monkeypatch, visible, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert hardware.gpu_count() == count


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "DRIVER_FOLDER", tmp_path / "none")
    monkeypatch.setattr(hardware.shutil, "which", lambda name: None)
    assert hardware.gpu_count() == 0


def test_nvidia_smi_counts_the_gpus_if_proc_does_not_list_them(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "DRIVER_FOLDER", tmp_path / "none")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(hardware.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    listing = "GPU 0: NVIDIA T4 (UUID: GPU-1)\nGPU 1: NVIDIA T4 (UUID: GPU-2)\n"
    monkeypatch.setattr(
        hardware.subprocess, "run", lambda *args, **kwargs: subprocess.CompletedProcess(args, 0, stdout=listing)
    )
    assert hardware.gpu_count() == 2


@pytest.mark.parametrize(
    ("flags", "expected"), [("fpu avx512_bf16 sse", True), ("amx_bf16", True), ("fpu avx512f", False), (None, False)]
)
def test_a_cpu_has_bfloat16_if_its_flags_list_it(monkeypatch, tmp_path, flags, expected):
    file = tmp_path / "cpuinfo"
    if flags is not None:
        file.write_text(f"flags : {flags}\n")
    monkeypatch.setattr(hardware, "CPU_FACTS", file)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    assert hardware.cpu_has_bfloat16() is expected


# Every value that oneDNN documents, and whether it still computes in bfloat16 on a processor that can.
ISAS = {
    "SSE41": False,
    "AVX": False,
    "AVX2": False,
    "AVX2_VNNI": False,
    "AVX2_VNNI_2": False,
    "AVX512_CORE": False,
    "AVX512_CORE_VNNI": False,
    "AVX512_CORE_BF16": True,
    "AVX10_1_512": True,
    "AVX512_CORE_FP16": True,
    "AVX10_1_512_AMX": True,
    "AVX512_CORE_AMX": True,
    "AVX10_1_512_AMX_FP16": True,
    "AVX512_CORE_AMX_FP16": True,
    "AVX10_2_512": True,
    "AVX10_2_512_AMX_2": True,
    "DEFAULT": True,
    "ALL": True,
    "": True,
    "avx2": False,
    "avx512_core_bf16": True,
    "no such value": True,
}


@pytest.mark.parametrize("name", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
@pytest.mark.parametrize(("limit", "expected"), ISAS.items())
def test_a_limit_on_what_onednn_uses_takes_bfloat16_away_and_never_adds_it(
    monkeypatch, tmp_path, name, limit, expected
):
    for variable in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, limit)
    monkeypatch.setattr(hardware, "CPU_FACTS", tmp_path / "cpuinfo")
    for flags, has in (("avx512_bf16", expected), ("amx_bf16", expected), ("avx512f", False)):
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
        assert hardware.cpu_has_bfloat16() is has


def test_of_both_names_of_the_limit_the_newer_one_counts(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("flags : avx512_bf16\n")
    monkeypatch.setattr(hardware, "CPU_FACTS", tmp_path / "cpuinfo")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "ALL")
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    assert hardware.cpu_has_bfloat16()


def test_free_memory_ends_at_the_limit_of_the_container(monkeypatch, tmp_path):
    limit, used, facts = tmp_path / "limit", tmp_path / "used", tmp_path / "facts"
    limit.write_text("3000\n")
    used.write_text("1000\n")
    facts.write_text("anon 100\ninactive_file 500\n")
    monkeypatch.setattr(hardware, "GROUP_LIMITS", ((limit, used, (facts, "inactive_file")),))
    assert hardware.memory_available_bytes() == 2500  # file cache can be reclaimed
    facts.write_text("anon 100\n")
    assert hardware.memory_available_bytes() == 2000
    facts.unlink()
    assert hardware.memory_available_bytes() == 2000
    limit.write_text("max\n")
    assert hardware.memory_available_bytes() > 2000


def test_usable_gpus_are_read_from_nvidia_smi(driver, monkeypatch):
    listing = subprocess.CompletedProcess(
        [], 0, stdout="81559, 80994, NVIDIA H100\n40960, 1024, NVIDIA A100\n", stderr=""
    )
    monkeypatch.setattr(hardware.shutil, "which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(hardware.subprocess, "run", lambda *arguments, **options: listing)
    assert [card.total // 2**20 for card in hardware.gpus()] == [81559, 40960]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [card.free // 2**20 for card in hardware.gpus()] == [1024]


def test_onednn_is_switched_on_unless_the_user_sets_it(driver, monkeypatch):
    monkeypatch.setattr(hardware.os, "environ", environ := {})
    hardware.set_tensorflow_environment()
    assert environ["TF_ENABLE_ONEDNN_OPTS"] == "1" and "CUDA_VISIBLE_DEVICES" not in environ
    environ |= {"TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": ""}
    hardware.set_tensorflow_environment()
    assert environ["TF_ENABLE_ONEDNN_OPTS"] == "0" and environ["CUDA_VISIBLE_DEVICES"] == ""

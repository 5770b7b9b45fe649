"""The parts of scripts/bench/gpu.sh that need no GPU: rows, resuming, arithmetic, table, and programs that fail."""

import importlib
import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

TIMING = Path(__file__).resolve().parents[1] / "scripts" / "bench" / "timing"
before = list(sys.path)
sys.path.insert(0, str(TIMING))
contender, gpu, rows, table, work = map(importlib.import_module, ("contender", "gpu", "rows", "table", "work"))
sys.path[:] = before

CARD = {"device": "a card", "matrix_flops_per_second": {"bfloat16": 4e12}, "copy_bytes_per_second": 1e10}
OURS = {
    "outcome": "measured",
    "seconds": [0.9, 0.5, 0.4],
    "precision": "bfloat16",
    "batch": 2,
    "flops": 1e12,
    "least_bytes": 1e9,
    "unfused_bytes": 4e9,
    "device_peak_bytes": 3 * 2**29,
    "process_peak_bytes": 2**40,
}
PEER = {
    "outcome": "measured",
    "seconds": [0.8, 0.7, 0.75],
    "precision": "float16",
    "batch": 2,
    "device_peak_bytes": 0,
    "process_peak_bytes": 2**30,
}


def result(ours, peer, *, in_turns=True):
    return {"key": "step-nnunet-xla_on-augmentation_off", "ours": ours, "peer": peer, "in_turns": in_turns}


def program(text):
    """Command of a program that is timed; it may use `serve`."""
    return [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(TIMING)!r})\nfrom contender import serve\n{text}",
    ]


# Rows


def test_a_preset_has_a_step_with_and_without_xla_and_augmentation():
    assert [row.key for row in rows.rows(["resenc_m"])] == [
        "step-resenc_m-xla_on-augmentation_on",
        "step-resenc_m-xla_on-augmentation_off",
        "step-resenc_m-xla_off-augmentation_on",
        "step-resenc_m-xla_off-augmentation_off",
    ]


def test_every_row_has_a_file_of_its_own():
    keys = [row.key for row in rows.rows(rows.PRESETS)]
    assert len(keys) == len(set(keys)) == 22


def test_a_word_chooses_rows():
    assert [row.key for row in rows.rows(rows.PRESETS, "predict")] == [
        "predict-nnunet-mirror_none",
        "predict-nnunet-mirror_all",
    ]


def test_the_presets_are_experiments():
    conf = Path(__file__).resolve().parents[1] / "conf" / "experiment"
    assert {path.stem for path in conf.glob("*.yaml")} >= set(rows.PRESETS)


@pytest.mark.parametrize(
    ("patch", "features", "divisor", "expected"),
    [
        ([128, 128, 128], [32, 64, 128, 256, 320, 320], 4, ([32, 32, 32], [8, 16, 32, 64])),
        ([160, 192, 160], [32, 64, 128, 256, 320, 320], 4, ([40, 48, 40], [8, 16, 32, 64])),
        ([128, 128, 128], [64, 96, 128, 192, 256, 384, 512], 16, ([8, 8, 8], [4, 6])),
        ([128, 128, 128], [32, 64, 128, 256, 320, 320], 1, ([128, 128, 128], [32, 64, 128, 256, 320, 320])),
    ],
)
def test_a_shrunk_network_keeps_four_voxels_at_its_coarsest_stage(patch, features, divisor, expected):
    assert rows.shrunk(patch, features, divisor) == expected


@pytest.mark.parametrize(
    ("ours", "peer", "is_final"),
    [
        ("measured", "measured", True),
        ("measured", None, True),
        ("out of memory", "measured", True),
        ("time limit", "out of memory", True),
        ("failed", "measured", False),
        ("measured", "failed", False),
    ],
)
def test_only_missing_and_failed_rows_are_measured_again(tmp_path, ours, peer, is_final):
    assert rows.finished(tmp_path, "a") is None
    stored = {"ours": {"outcome": ours}, "peer": peer and {"outcome": peer}}
    (tmp_path / "a.json").write_text(json.dumps(stored))
    assert rows.finished(tmp_path, "a") == (stored if is_final else None)


def test_results_under_other_conditions_are_named():
    before = {"shrink": 4, "device": "cpu", "commit": "a"}
    assert list(rows.differences(before, {"shrink": 1, "device": "cpu", "commit": "a"})) == ["shrink: 4 before, 1 now"]
    assert list(rows.differences(before, before)) == []


# What is compared


@pytest.fixture
def args(monkeypatch):
    """Options of a shrunk run on a CPU, with an environment of the peers that need not exist."""
    monkeypatch.setattr(gpu.train_step, "peers_python", lambda: Path("python"))
    return Namespace(device="cpu", precision="float32", threads=1, shrink=4, peer=True, minutes=1, rounds=1, steps=2)


@pytest.mark.parametrize("preset", rows.PRESETS)
def test_the_peer_takes_the_same_patches_through_the_same_stages(preset, args):
    ours, peer, facts = gpu.commands(rows.Row("step", preset, "on", "off"), args, None)
    settings = gpu.train_step.settings_of(ours[ours.index("--child") + 1 :])
    assert (settings.hardware.jit, settings.augmentation["name"]) == ("on", "none")
    if preset == "nvidia21":  # nnU-Net has no such network
        assert peer is None
        return
    options = json.loads(peer[-1])
    assert options["patch"] == settings.sampling.patch == facts["patch"]
    assert options["batch"] == settings.sampling.batch == facts["batch"]
    assert options["features"] == settings.model["features"] == [8, 16, 32, 64]
    assert options["encoder"] == ([1, 2, 2, 2] if preset.startswith("resenc") else [2, 2, 2, 2])
    assert options["decoder"] == ([1, 1, 1] if preset.startswith("resenc") else [2, 2, 2])
    assert options["norm"] == ("batch" if preset == "isensee2020" else "instance")


def test_at_full_size_a_step_is_that_of_the_preset(args):
    args.shrink = 1
    ours, peer, facts = gpu.commands(rows.Row("step", "resenc_l", "on", "on"), args, None)
    assert facts == {"batch": 3, "patch": [160, 192, 160]}
    assert json.loads(peer[-1])["encoder"] == [1, 3, 4, 6, 6, 6]
    settings = gpu.train_step.settings_of(ours[ours.index("--child") + 1 :])
    assert settings.augmentation["name"] == gpu.train_step.settings_of(["experiment=resenc_l"]).augmentation["name"]


# Arithmetic


def test_medians_ratio_and_rates_by_hand():
    found = table.summary(result(OURS, PEER), CARD)
    assert found["speedup"] == 1.5  # 0.75 s / 0.5 s
    ours = found["ours"]
    assert (ours["median_seconds"], ours["n"], ours["patches_per_second"]) == (0.5, 3, 4.0)
    assert (ours["peak_gib"], ours["peak_of"]) == (1.5, "device")
    assert (found["peer"]["peak_gib"], found["peer"]["peak_of"]) == (1.0, "process")
    assert (ours["tflops_per_second"], ours["matrix_share"]) == (2.0, 0.5)
    assert ours["copy_shares"] == [0.2, 0.8]  # 1 and 4 GB in 0.5 s, at 10 GB/s


def test_a_row_without_memory_has_no_ratio_and_says_so():
    found = table.summary(result({"outcome": "out of memory", "message": "…"}, PEER), CARD)
    assert found["speedup"] is None
    assert table.cells(found) == ["out of memory", "–", "–", "0.75", "1.00", "–", "–", "–", "–"]


def test_a_network_that_nnunet_lacks_has_no_ratio():
    assert table.cells(table.summary(result(OURS, None), CARD)) == [
        "0.5", "4", "1.50", "–", "–", "–", "2", "50%", "20% to 80%",
    ]  # fmt: skip


def test_a_row_that_was_not_measured_in_turns_is_marked():
    assert table.cells(table.summary(result(OURS, PEER, in_turns=False), CARD))[5] == "1.50 *"


def test_the_table_names_device_rates_and_note(capsys):
    table.show([table.summary(result(OURS, PEER), CARD)], CARD, "shows only that the script runs")
    shown = " ".join(capsys.readouterr().out.split())
    assert "shows only that the script runs" in shown
    assert "a card: matrix products 4 in bfloat16 TFLOP/s; copies 10 GB/s" in shown
    assert "step-nnunet-xla_on-augmentation_off" in shown


def test_work_of_two_convolutions_by_hand():
    import keras

    image = keras.Input((None, None, None, 4))
    hidden = keras.layers.Conv3D(8, 3, padding="same", use_bias=False)(image)
    logits = keras.layers.Conv3DTranspose(2, 2, strides=2, use_bias=False)(hidden)
    found = work.step_work(keras.Model(image, logits), (2, 4, 4, 4, 4))
    voxels = 2 * 4**3
    first, second = 2 * voxels * 27 * 4 * 8, 2 * voxels * 8 * 8 * 2  # operations of one pass
    # No gradient with respect to the image: the first convolution has two passes, the second three.
    assert found.flops == 2 * first + 3 * second
    images, maps, outputs, kernels = voxels * 4, voxels * 8, voxels * 8 * 2, (27 * 4 * 8, 8 * 8 * 2)
    assert found.least_bytes == 4 * (2 * (images + maps + kernels[0]) + 3 * (maps + outputs + kernels[1]))
    assert found.unfused_bytes > found.least_bytes


# Programs


def test_a_program_answers_with_facts_seconds_and_peak_memory():
    runner = contender.Contender(
        program("serve({'parameters': 7}, lambda precision: len(precision) / 4, lambda: {'device_peak_bytes': 5})")
    )
    assert runner.facts == {"parameters": 7}
    assert runner.seconds("bfloat16", 3) == [2.0, 2.0, 2.0]
    farewell = runner.close()
    assert farewell["device_peak_bytes"] == 5 and farewell["process_peak_bytes"] > 2**20


@pytest.mark.parametrize(
    ("code", "messages", "late", "outcome"),
    [
        (1, "tensorflow.python.framework.errors_impl.ResourceExhaustedError: {{node Conv3D}}", False, "out of memory"),
        (1, "RESOURCE_EXHAUSTED: Failed to allocate request for 2.0GiB", False, "out of memory"),
        (1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", False, "out of memory"),
        (1, "CUDNN_STATUS_ALLOC_FAILED", False, "out of memory"),
        (-9, "", False, "out of memory"),
        (-9, "", True, "time limit"),
        (1, "ValueError: no such network", False, "failed"),
        (-11, "", False, "failed"),
    ],
)
def test_why_a_program_ended(code, messages, late, outcome):
    assert contender.outcome_of(code, messages, late=late) == outcome


def test_lack_of_memory_during_a_step_stops_only_that_program():
    runner = contender.Contender(
        program("def f(_): raise MemoryError('Unable to allocate')\nserve({}, f, dict)"),
    )
    with pytest.raises(contender.ProgramError, match="Unable to allocate") as stop:
        runner.seconds("float32", 1)
    assert stop.value.outcome == "out of memory"


def test_a_program_is_stopped_at_its_time_limit():
    with pytest.raises(contender.ProgramError) as stop:
        contender.Contender(program("import time; time.sleep(60)"), limit_seconds=0.2)
    assert stop.value.outcome == "time limit"


def test_programs_that_do_not_fit_at_once_are_measured_alone(args, monkeypatch, tmp_path):
    lock = str(tmp_path / "memory")
    serve = "serve({}, lambda precision: 0.5, lambda: "
    ours = program(
        f"import os; open({lock!r}, 'w').close(); {serve} os.remove({lock!r}) or {{'device_peak_bytes': 1}})"
    )
    peer = program(f"import os\nif os.path.exists({lock!r}): raise MemoryError\n{serve} {{'device_peak_bytes': 2}})")
    monkeypatch.setattr(gpu, "commands", lambda *_: (ours, peer, {"batch": 2}))
    found = gpu.measured(rows.Row("step", "nnunet"), args, None)
    assert found["in_turns"] is False
    assert [found[side]["seconds"] for side in ("ours", "peer")] == [[0.5, 0.5]] * 2
    assert [found[side]["device_peak_bytes"] for side in ("ours", "peer")] == [1, 2]


def test_a_program_that_fits_nowhere_leaves_the_other_s_measurement(args, monkeypatch):
    peer = program("serve({}, lambda precision: 0.5, lambda: {'device_peak_bytes': 2})")
    monkeypatch.setattr(gpu, "commands", lambda *_: (program("raise MemoryError"), peer, {}))
    found = gpu.measured(rows.Row("step", "nnunet"), args, None)
    assert (found["ours"]["outcome"], found["peer"]["outcome"]) == ("out of memory", "measured")


def test_a_peer_with_another_number_of_weights_is_not_compared(args, monkeypatch):
    ours, peer = (
        program(f"serve({{'parameters': {count}}}, lambda precision: 0.5, lambda: {{'device_peak_bytes': 2}})")
        for count in (7, 8)
    )
    monkeypatch.setattr(gpu, "commands", lambda *_: (ours, peer, {}))
    found = gpu.measured(rows.Row("step", "nnunet"), args, None)
    assert found["peer"] == {"outcome": "failed", "message": "nnU-Net's network has 8 weights. Expected 7, as in ours."}

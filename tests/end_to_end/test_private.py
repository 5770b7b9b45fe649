"""Nothing that is written names a folder, the user or the machine, or repeats the text of a scan's header."""

import base64
import getpass
import gzip
import json
import os
import re
import shutil
import socket
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import nibabel
import pytest
from PIL import Image

from brats_unet.cli.main import main
from brats_unet.commands import phantom
from brats_unet.json_files import write_json
from brats_unet.run import Run

MARKERS = {  # what no written file may hold
    "patient": "Doe^Jane",
    "user": "marker-user",
    "host": "marker-host",
    "home": "marker-home",
    "header": "marker-header",
    "extension": "marker-extension",
}
TINY = [
    "experiment=quick",
    "augmentation=none",
    "data=brats",
    "data.folds=2",
    "data.preparation.spacing_mm=[5,5,5]",
    "model.features=[4,8]",
    "model.strides=[1,2]",
    "sampling.patch=[16,16,16]",
    "hardware.device=cpu",
    "hardware.precision=float32",
]
KEPT = ["probabilities=true", "uncertainty=true"]


def copy_with_texts(source, target):
    """Copy a dataset; the text fields of every scan's header hold markers."""
    for path in sorted(source.rglob("*.nii.gz")):
        image = nibabel.load(path)
        for field in ("db_name", "descrip", "aux_file", "intent_name"):
            image.header[field] = MARKERS["header"].encode()
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", MARKERS["extension"].encode() * 3))
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(image, copy)


@pytest.fixture(scope="module")
def written(tmp_path_factory, phantom_root):
    """A folder with the files of all commands, and the dataset, which lies elsewhere."""
    place = tmp_path_factory.mktemp("private") / MARKERS["patient"] / "work"
    root = place.parent / "scans"
    copy_with_texts(phantom_root, root)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
            patch.setenv(name, MARKERS["user"])
        patch.setenv("HOSTNAME", MARKERS["host"])
        patch.setenv("HOME", str(place.parent / MARKERS["home"]))
        patch.setattr(socket, "gethostname", lambda: MARKERS["host"])
        system = os.uname()
        patch.setattr(os, "uname", lambda: os.uname_result([system[0], MARKERS["host"], *system[2:]]))

        def run_command(*words, code=0):
            patch.setattr(sys, "argv", ["brats-unet", *words])
            assert main(list(words)) == code, words

        data = [f"data.root={root}", f"data.cache={place}/cache"]
        run = f"{place}/runs/tiny"
        write = phantom.write_dataset
        patch.setattr(phantom, "write_dataset", lambda *args, **options: write(*args, **options, scale=0.2))
        run_command("phantom", f"output={place}/phantoms", "cases=1", "workers=1")
        run_command("train", *TINY, *data, f"runs={place}/runs", "name=tiny", "steps=2", "validation.every=1")
        run_command("evaluate", f"run={run}", "calibration=true")
        run_command("tune", f"run={run}", "folds=2", "rules=[least_total_mm3]")
        run_command("report", f"run={run}", "viewer=1", "pictures=1")
        held_out = place.parent / "held_out"
        for case in json.loads(Run(Path(run)).folds_file.read_text())["validation"]:
            shutil.copytree(root / case, held_out / case)
        run_command("predict", f"run={run}", f"input={held_out}", f"output={place}/masks", *KEPT)
        loose = [f"predictions={place}/masks", f"references={held_out}", f"output={place}/loose"]
        run_command("evaluate", *loose, "figures=false", "seed_scores=false", "calibration=true")
        run_command("report", f"run={place}/loose", "viewer=1", "pictures=0", f"output={place}/loose.html")
        run_command("compare", run, f"{place}/loose", f"output={place}/comparison.json")
        for form in ("keras", "onnx", "savedmodel"):
            run_command("export", f"run={run}", f"output={place}/{form}", f"format={form}")
        others = shutil.copytree(place / "masks", place.parent / "others")
        next(others.glob("*.nii.gz")).write_bytes(b"broken")
        inputs = f"inputs=['{place}/masks','{others}']"
        run_command("fuse", inputs, f"output={place}/fused", f"references={held_out}", code=1)
        broken = shutil.copytree(root / "Phantom20_001", place.parent / "broken" / "Phantom20_001")
        (broken / "Phantom20_001_t1.nii.gz").write_bytes(b"broken")
        run_command("check", f"data.root={broken.parent}", f"report={place}/check.json", code=1)
        run_command("plan", *TINY, *data, f"output={place}/plan.yaml", "probe=false", "memory_gib=2")
    return place, root


def contents(name, content):
    """(name, bytes) of a file and of all that is packed in it: gzip, zip members, base64, texts of pictures."""
    yield name, content
    if content[:2] == b"\x1f\x8b":
        yield from contents(f"{name} (gzip)", gzip.decompress(content))
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(BytesIO(content)) as packed:
            for member in packed.infolist():
                yield f"{name}/{member.filename}", member.filename.encode() + member.comment + member.extra
                yield from contents(f"{name}/{member.filename}", packed.read(member))
    if content[:4] in (b"\x89PNG", b"RIFF"):
        with Image.open(BytesIO(content)) as image:
            yield f"{name} (texts)", repr(image.info).encode()
    if name.endswith(".html"):
        for found in re.findall(rb"[A-Za-z0-9+/]{64,}={0,2}", content):
            if len(found) % 4 == 0:
                yield from contents(f"{name} (base64)", base64.b64decode(found))


def test_only_settings_and_plans_hold_paths_and_nothing_holds_a_name(written):
    place, root = written
    # Shorter names are found by chance in compressed bytes.
    names = {name for name in (socket.gethostname(), getpass.getuser()) if len(name) > 5 and name != "localhost"}
    private = {*MARKERS.values(), *names, str(root.parent), str(Path(__file__).resolve().parents[2])}
    found, searched = set(), set()
    for path in sorted(file for file in place.rglob("*") if file.is_file()):
        name = str(path.relative_to(place))
        searched.add(path.suffix)
        for inside, content in contents(name, path.read_bytes()):
            found |= {(inside, text) for text in private if text.encode() in content or text in name}
    assert {".png", ".gz", ".npz", ".keras", ".onnx", ".pb", ".html", ".json", ".csv", ".jsonl"} <= searched
    allowed = {"runs/tiny/settings.json", "loose/settings.json", "plan.yaml"}
    assert {inside for inside, _ in found} == allowed, sorted(one for one in found if one[0] not in allowed)


def test_the_pages_show_scans_that_they_find_through_the_settings(written):
    place, _ = written
    for page in (Run(place / "runs" / "tiny").folder / "report.html", place / "loose.html"):
        text = page.read_text(encoding="utf-8")
        assert "Not shown:" not in text
        assert "Scan viewer" in text
    assert "data.root=scans" in (place / "runs" / "tiny" / "report.html").read_text(encoding="utf-8")


def test_masks_of_an_earlier_version_count_as_of_the_same_networks(written):
    place, root = written
    predict = [f"input={root.parent / 'held_out'}", f"output={place}/masks", *KEPT]
    run, mark = place / "runs" / "tiny", place / "masks" / "predictions.json"
    recorded = json.loads(mark.read_text())
    assert recorded["networks"][0]["weights"] == "tiny/checkpoints/last.safetensors"
    recorded["networks"][0]["weights"] = str(run / "checkpoints" / "last.safetensors")
    write_json(mark, recorded)
    assert main(["predict", f"run={run}", *predict]) == 0
    recorded["networks"][0]["weights"] = str(place / "runs" / "other" / "checkpoints" / "last.safetensors")
    write_json(mark, recorded)
    assert main(["predict", f"run={run}", *predict]) == 2

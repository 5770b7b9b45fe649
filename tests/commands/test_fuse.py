"""The command `brats-unet fuse`: label conventions, error messages, and no file replaced without overwrite=true."""

import json

import numpy as np
import pytest

from brats_unet.commands.fuse import main
from brats_unet.errors import BratsError, DataError, SettingsError
from brats_unet.nifti import read_integers, write_volume
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin, scheme_of
from brats_unet.settings import Fuse
from brats_unet.volume import Volume

CASES = ("BraTS20_Training_001", "BraTS20_Training_002")
LABELS = np.zeros((8, 8, 8), np.uint8)
LABELS[1:7, 1:7, 1:7] = 2
LABELS[2:6, 2:6, 2:6] = 1
LABELS[3:5, 3:5, 3:5] = 4


@pytest.fixture
def folders(tmp_path):
    """Three folders of equal masks, except that those of the third have one more voxel."""
    for name in "abc":
        for case_id in CASES:
            labels = LABELS.copy()
            labels[0, 0, 0] = 2 * (name == "c")
            write(tmp_path / name / f"{case_id}.nii.gz", labels)
    return tmp_path


def write(path, labels, convention="brats2017", affine=None):
    path.parent.mkdir(exist_ok=True)
    array = conventions(builtin())[convention].encode(labels)
    write_volume(path, Volume(array) if affine is None else Volume(array, affine))


def settings(folders, **changes) -> Fuse:
    values = {
        "inputs": [str(folders / name) for name in "abc"],
        "output": str(folders / "out"),
        "method": "majority",
        "per": "regions",
        "scheme": None,
        "labels": "auto",
        "write": "auto",
        "mask_format": "nifti",
        "references": None,
        "allow_missing": False,
        "overwrite": False,
        "json": True,
    }
    return Fuse(**{**values, **changes})


@pytest.mark.parametrize("per", ["regions", "labels"])
@pytest.mark.parametrize("method", ["majority", "staple", "simple"])
def test_masks_that_agree_are_fused_into_the_same_mask(folders, method, per, capsys):
    assert main(settings(folders, method=method, per=per)) == 0
    for case_id in CASES:
        found = read_integers(folders / "out" / f"{case_id}.nii.gz").array
        np.testing.assert_array_equal(found, LABELS)
    result = json.loads(capsys.readouterr().out)
    assert result["fused"] == 2 and result["dice"]["a"] == {"n": 2, "WT": 1, "TC": 1, "ET": 1}
    assert result["dice"]["c"]["WT"] == pytest.approx(2 * 216 / (216 + 217), abs=1e-6)
    assert set(json.loads((folders / "out" / "fusion.json").read_text())["weights"]) == set(CASES)


def test_each_folder_may_have_its_own_label_convention(folders):
    for case_id in CASES:
        write(folders / "b" / f"{case_id}.nii.gz", LABELS, "brats2023")
    with pytest.raises(SettingsError, match=r"/b: .*holds 3.*Give one convention per input, as labels=\["):
        main(settings(folders))
    assert main(settings(folders, labels=["auto", "brats2023", "brats2017"], write="brats2023")) == 0
    assert set(np.unique(read_integers(folders / "out" / f"{CASES[0]}.nii.gz").array)) == {0, 1, 2, 3}
    with pytest.raises(SettingsError, match="one for each of the 3 inputs"):
        main(settings(folders, labels=["auto", "brats2023"]))


def test_an_input_with_ambiguous_labels_follows_the_convention_of_the_others(folders, capsys):
    for case_id in CASES:
        (folders / "b" / f"{case_id}.nii.gz").unlink()
    for name in "abc":
        for number in (1, 2):
            write(folders / name / f"x{number}.nii.gz", LABELS if name != "b" else np.where(LABELS == 4, 1, LABELS))
    for name in "ac":
        for case_id in CASES:
            (folders / name / f"{case_id}.nii.gz").unlink()
    assert main(settings(folders)) == 0
    np.testing.assert_array_equal(read_integers(folders / "out" / "x1.nii.gz").array, LABELS)


def test_the_masks_of_one_case_may_be_given_one_by_one(folders):
    files = []
    for name in "abc":
        file = folders / f"me_{name}.nii.gz"
        (folders / name / f"{CASES[0]}.nii.gz").rename(file)
        files.append(str(file))
    assert main(settings(folders, inputs=files)) == 0
    np.testing.assert_array_equal(read_integers(folders / "out" / "me.nii.gz").array, LABELS)


def test_the_fusion_and_its_inputs_are_scored_against_references(folders, capsys):
    for case_id in CASES:
        write(folders / "ref" / f"{case_id}_seg.nii.gz", LABELS)
    assert main(settings(folders, references=str(folders / "ref"))) == 0
    dice = json.loads(capsys.readouterr().out)["dice"]
    assert dice["fusion"]["WT"] == 1 and dice["c"]["WT"] < 1


def test_a_case_missing_from_an_input_is_named_and_can_be_allowed(folders):
    (folders / "b" / f"{CASES[1]}.nii.gz").unlink()
    with pytest.raises(DataError, match=f"{CASES[1]}: no mask in b"):
        main(settings(folders))
    assert not (folders / "out").exists()
    assert main(settings(folders, allow_missing=True)) == 0
    (folders / "a" / f"{CASES[1]}.nii.gz").unlink()
    with pytest.raises(DataError, match=f"{CASES[1]}: no mask in a, b"):
        main(settings(folders, allow_missing=True, overwrite=True))


def test_a_mask_on_another_grid_is_named_and_the_other_cases_are_fused(folders, capsys):
    write(folders / "b" / f"{CASES[0]}.nii.gz", LABELS, affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    (folders / "c" / f"{CASES[0]}.nii.gz").write_bytes(b"broken")
    assert main(settings(folders, inputs=[str(folders / n) for n in "ab"])) == 1
    told = json.loads(capsys.readouterr().out)
    assert (
        list(told["failed"]) == [CASES[0]] and "does not lie on the grid of the mask from a" in told["failed"][CASES[0]]
    )
    assert (folders / "out" / f"{CASES[1]}.nii.gz").exists()
    assert main(settings(folders, inputs=[str(folders / n) for n in "ac"], overwrite=True)) == 1
    assert "cannot be read as NIfTI" in json.loads(capsys.readouterr().out)["failed"][CASES[0]]


def test_a_folder_with_files_is_refused_and_overwriting_replaces_fused_masks_only(folders):
    assert main(settings(folders)) == 0
    (folders / "out" / "mine.txt").write_text("kept")
    with pytest.raises(SettingsError, match="not empty"):
        main(settings(folders))
    assert main(settings(folders, overwrite=True, method="staple")) == 0
    assert (folders / "out" / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "mayority"}, "no method=mayority. Did you mean majority"),
        ({"inputs": ["/x"]}, "inputs has 1 entries"),
        ({"inputs": ["/x", "/y"]}, "there is no /x"),
        ({"write": "brats2016"}, "no label convention named brats2016"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(folders, change, message):
    with pytest.raises(BratsError, match=message):
        main(settings(folders, **change))
    assert not (folders / "out").exists()


def test_the_output_must_not_be_an_input(folders):
    with pytest.raises(SettingsError, match="is one of the inputs"):
        main(settings(folders, output=str(folders / "a")))


def test_masks_with_a_cavity_are_fused_by_the_scheme_after_treatment(folders, capsys):
    cavity = LABELS.copy()
    cavity[1:7, 1:7, 6] = 3  # in memory; 4 in the files
    for name in "abc":
        for case_id in CASES:
            (folders / name / f"{case_id}.nii.gz").unlink()
        write(folders / name / "BraTS-GLI-00046-101.nii.gz", cavity if name != "c" else LABELS, "brats2024")
    for per in ("regions", "labels"):
        assert main(settings(folders, per=per, overwrite=True, json=False)) == 0
        said = " ".join("".join(capsys.readouterr()).split())
        assert "Scheme: glioma_post (label 4 beside 3 in cases such as BraTS-GLI-00046-101)." in said
        assert "c: No RC (resection cavity) in the mask." in said
        record = json.loads((folders / "out" / "fusion.json").read_text())
        assert record["scheme"]["name"] == "glioma_post"
        assert record["dice"]["a"] == {"n": 1} | dict.fromkeys(("WT", "TC", "ET", "RC", "NETC", "SNFH"), 1)
        fused = read_integers(folders / "out" / "BraTS-GLI-00046-101.nii.gz").array
        np.testing.assert_array_equal(fused, conventions(builtin("glioma_post"))["brats2024"].encode(cavity))


def test_inputs_of_two_schemes_are_refused_and_scheme_decides(folders):
    write(folders / "a" / "BraTS-GLI-00046-101.nii.gz", np.where(LABELS == 2, 3, LABELS), "brats2024")
    for case_id in CASES:
        write_volume(folders / "b" / f"{case_id}.nii.gz", Volume(np.where(LABELS > 0, 255, 0).astype(np.uint8)))
    with pytest.raises(SettingsError, match="The inputs show different schemes: glioma_post and lesion"):
        main(settings(folders, allow_missing=True))
    with pytest.raises(DataError, match="no convention of the scheme glioma defines"):
        main(settings(folders, allow_missing=True, scheme=builtin().as_dict()))


def record(folder, scheme, convention, name="predictions.json"):
    """Write beside masks what `predict` or `fuse` records."""
    recipe = {"scheme": scheme.as_dict()}
    networks = {"networks": [{"recipe": recipe}]} if name == "predictions.json" else recipe
    (folder / name).write_text(json.dumps({**networks, "convention": convention}))


def test_the_scheme_and_the_labels_recorded_beside_masks_are_taken(folders, capsys):
    """By themselves, masks with 1 and 2 of unknown cases are ambiguous, and no built-in scheme has these regions."""
    mine = scheme_of({"name": "mine", "labels": {"A": 1, "B": 2}, "regions": {"both": ["A", "B"], "B": ["B"]}})
    for name in "abc":
        for case_id in CASES:
            (folders / name / f"{case_id}.nii.gz").unlink()
        write(folders / name / "x1.nii.gz", np.where(LABELS == 4, 1, LABELS))
    with pytest.raises(SettingsError, match="can be read as"):
        main(settings(folders))
    record(folders / "b", mine, "mine")
    record(folders / "c", mine, "mine", "fusion.json")
    assert main(settings(folders)) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["scheme"] == mine.as_dict() and result["convention"] == "mine"
    assert result["notes"][0] == "Scheme: mine (b: recorded in predictions.json)."
    assert "c: labels mine (recorded in fusion.json)." in result["notes"]
    assert result["dice"]["a"] == {"n": 1, "both": 1, "B": 1}
    assert main(settings(folders, output=str(folders / "again"), scheme=builtin("lesion").as_dict())) == 0
    assert json.loads(capsys.readouterr().out)["scheme"]["name"] == "lesion"


def test_folders_recorded_with_schemes_that_differ_are_refused(folders):
    one, other = (
        scheme_of({"name": "mine", "labels": {"A": 1, "B": value}, "regions": {"both": ["A", "B"], "B": ["B"]}})
        for value in (2, 4)
    )
    record(folders / "a", one, "mine")
    record(folders / "c", other, "mine")
    with pytest.raises(
        SettingsError, match=r"mine, those in c with mine, .* \(label B is 2 in a, 4 in c\)\. Give masks"
    ):
        main(settings(folders))


def test_a_record_of_earlier_versions_is_glioma(folders, capsys):
    (folders / "a" / "predictions.json").write_text(
        json.dumps({"networks": [{"recipe": {}}], "convention": "brats2017"})
    )
    assert main(settings(folders)) == 0
    assert json.loads(capsys.readouterr().out)["notes"][0] == "Scheme: glioma (a: recorded in predictions.json)."


@pytest.mark.real
def test_the_majority_by_label_of_five_real_entries_is_their_published_fusion(real_scans, tmp_path):
    folder = real_scans / "predictions" / "TCGA-DU-7294"
    entries = [str(path) for path in sorted(folder.glob("*-20.nii.gz"))]
    assert main(settings(tmp_path, inputs=entries, per="labels")) == 0
    published = read_integers(folder / "TCGA-DU-7294_pred-fusion-mav.nii.gz").array
    np.testing.assert_array_equal(read_integers(tmp_path / "out" / "TCGA-DU-7294_pred.nii.gz").array, published)


@pytest.mark.parametrize("mask_format", ["nifti", "input"])
def test_masks_in_several_formats_are_fused_and_go_back_as_asked(folders, mask_format):
    for path in sorted((folders / "a").iterdir()):
        write_volume(path.with_name(path.name.replace(".nii.gz", ".mgz")), Volume(read_integers(path).array))
        path.unlink()
    assert main(settings(folders, mask_format=mask_format)) == 0
    suffix = ".mgz" if mask_format == "input" else ".nii.gz"
    assert sorted(p.name for p in (folders / "out").glob("BraTS*")) == [f"{case}{suffix}" for case in CASES]
    assert np.array_equal(read_integers(folders / "out" / f"{CASES[0]}{suffix}").array, LABELS)
    assert main(settings(folders, mask_format="nifti", overwrite=True)) == 0
    assert sorted(p.name for p in (folders / "out").glob("BraTS*")) == [f"{case}.nii.gz" for case in CASES]

"""Phantoms: the files written, their appearance, and reproducibility."""

import csv
import json
from dataclasses import replace

import cc3d
import numpy as np
import pytest
from scipy import ndimage

from brats_unet import nifti
from brats_unet.data.assignment import Subject, assign
from brats_unet.data.labels.decide import decide, integers_of
from brats_unet.data.phantom import phantom_case as generator
from brats_unet.data.phantom import phantoms
from brats_unet.data.phantom.phantom_case import PhantomCase
from brats_unet.data.phantom.scan_grid import BRATS, ScanGrid
from brats_unet.data.phantom.tumour import CYCLE, Variety
from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import DataError, SettingsError
from brats_unet.json_files import SEAL
from brats_unet.modality import Modality
from brats_unet.schemes.scheme_file import builtin, scheme_of
from tests.glioma import Label, Region, region_mask

SMALL = 0.25
GLIOMA = builtin()
POST = builtin("glioma_post")
OWN = scheme_of({"name": "mine", "labels": {"a": 1, "b": 2}, "regions": {"R1": ["a", "b"], "R2": ["b"]}})


def phantom_case(seed: int, index: int, **options) -> PhantomCase:
    return generator.phantom_case(seed, index, **{"scheme": GLIOMA, **options})


def write_dataset(folder, **options) -> list[str]:
    return phantoms.write_dataset(folder, **{"scheme": GLIOMA, "workers": 1, **options})


@pytest.fixture(scope="session")
def cases() -> list[PhantomCase]:
    """Three phantoms at full size: tiny enhancing tumour, several lesions, low grade."""
    return [phantom_case(5, index) for index in (1, 2, 3)]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Three small phantoms on disk."""
    path = tmp_path_factory.mktemp("phantoms") / "set"
    write_dataset(path, cases=3, seed=4, scale=SMALL)
    return path


def first_of_variety(cases: list[PhantomCase], variety: Variety) -> PhantomCase:
    return next(case for case in cases if case.variety == variety)


def brain(case: PhantomCase) -> np.ndarray:
    return case.images[Modality.T1] > 0


def equal(a: PhantomCase, b: PhantomCase) -> bool:
    return np.array_equal(a.labels, b.labels) and all(np.array_equal(a.images[m], b.images[m]) for m in Modality)


def test_equal_seed_and_index_give_equal_voxels_and_others_differ():
    first = phantom_case(3, 7, scale=SMALL)
    assert equal(first, phantom_case(3, 7, scale=SMALL))
    assert not equal(first, phantom_case(4, 7, scale=SMALL))
    assert not equal(first, phantom_case(3, 13, scale=SMALL))


def test_a_case_on_disk_equals_the_case_in_memory(folder):
    case = phantom_case(4, 1, scale=SMALL)
    name = "Phantom20_002"
    for modality in Modality:
        volume = nifti.read_volume(folder / name / f"{name}_{modality}.nii.gz")
        np.testing.assert_array_equal(volume.array, case.images[modality])
    np.testing.assert_array_equal(nifti.read_integers(folder / name / f"{name}_seg.nii.gz").array, case.labels)


def test_grid_type_and_affine_are_those_of_brats(cases):
    for case in cases:
        assert case.labels.shape == BRATS.shape == (240, 240, 155)
        assert case.labels.dtype == np.uint8
        assert all(image.shape == BRATS.shape and image.dtype == np.int16 for image in case.images.values())
        np.testing.assert_array_equal(case.affine, [[-1, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_at_scale_0_4_the_head_keeps_its_size_in_millimetres():
    small, large = phantom_case(5, 0, scale=0.4), phantom_case(5, 0, scale=0.8)
    assert small.labels.shape == (96, 96, 62)
    assert small.affine[0, 0] == -2.5
    volumes = [brain(case).sum() * abs(case.affine[0, 0]) ** 3 / 1e6 for case in (small, large)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.03)


def test_a_brain_has_1_to_1_8_litres_and_is_centred(cases):
    for case in cases:
        assert 1.0e6 < brain(case).sum() < 1.8e6
        centre = [float(axis.mean()) for axis in np.nonzero(brain(case))]
        assert np.allclose(centre, (119, 133, 75), atol=8)


def test_every_scan_is_0_outside_the_brain_and_positive_inside(cases):
    for case in cases:
        inside = brain(case)
        for image in case.images.values():
            np.testing.assert_array_equal(image > 0, inside)
            assert image.min() == 0


def test_at_least_99_5_percent_of_the_brain_is_one_component(cases):
    for case in cases:
        largest = cc3d.largest_k(brain(case), k=1, connectivity=6, binary_image=True) > 0
        assert largest.sum() > 0.995 * brain(case).sum()


def test_labels_are_those_of_brats_and_lie_in_the_brain(cases):
    for case in cases:
        assert set(np.unique(case.labels)) <= {0, 1, 2, 4}
        assert brain(case)[case.labels > 0].all()
        assert 2_000 < region_mask(case.labels, Region.WT).sum() < 500_000
        assert region_mask(case.labels, Region.TC).sum() > 500


def test_every_variety_comes_once_in_six_cases_and_in_each_fold_of_thirty():
    assert sorted(CYCLE) == sorted(Variety)
    kinds = [CYCLE[i % len(CYCLE)] for i in range(30)]
    for fold in range(5):
        assert set(kinds[fold::5]) == set(kinds[6 * fold : 6 * fold + 6]) == set(Variety)


def test_every_fold_of_the_demo_holds_every_variety(folder):
    assert phantoms.varieties(folder) == {phantoms.case_id(phantoms.OLD, i): str(CYCLE[i]) for i in range(3)}
    fold = assign(
        [
            Subject(phantoms.case_id(phantoms.OLD, i), phantoms.case_id(phantoms.OLD, i), CYCLE[i % 6], "")
            for i in range(36)
        ],
        folds=5,
        seed=12345,
    )
    for held_out in range(5):
        kinds = {CYCLE[i % 6] for i in range(36) if fold[phantoms.case_id(phantoms.OLD, i)] == held_out}
        assert kinds == set(Variety)


def test_low_grade_has_no_enhancing_tumour_and_the_others_have(cases):
    for case in cases:
        enhancing = region_mask(case.labels, Region.ET).any()
        assert enhancing == (case.variety != Variety.NO_ET) == (case.grade == "HGG")


def test_tiny_enhancing_tumour_is_one_component_of_40_to_100_voxels(cases):
    enhancing = region_mask(first_of_variety(cases, Variety.TINY_ET).labels, Region.ET)
    assert 40 <= enhancing.sum() < 100
    assert cc3d.connected_components(enhancing, connectivity=26).max() == 1


def test_several_lesions_have_separate_cores(cases):
    core = region_mask(first_of_variety(cases, Variety.SEVERAL).labels, Region.TC)
    assert cc3d.connected_components(core, connectivity=26).max() >= 2


def test_masks_have_few_components_and_none_is_tiny(cases):
    for case in cases:
        for region in (Region.WT, Region.TC):
            components = cc3d.statistics(cc3d.connected_components(region_mask(case.labels, region), connectivity=26))
            assert components["voxel_counts"].min() >= 30
            assert len(components["voxel_counts"]) <= 12


def test_tumour_contrast_matches_the_modality(cases):
    for case in cases:
        healthy = brain(case) & (case.labels == 0)

        def relative(modality: Modality, label: Label, case=case, healthy=healthy) -> float:
            image = case.images[modality]
            return float(np.median(image[case.labels == label]) / np.median(image[healthy]))

        assert relative(Modality.FLAIR, Label.OEDEMA) > 1.05
        assert relative(Modality.T2, Label.OEDEMA) > 1.02
        assert relative(Modality.T1, Label.NECROTIC) < 1.0
        assert relative(Modality.T2, Label.NECROTIC) > relative(Modality.T2, Label.OEDEMA)
        if case.variety != Variety.NO_ET:
            assert relative(Modality.T1CE, Label.ENHANCING) > 1.15 * relative(Modality.T1CE, Label.NECROTIC)


def test_a_low_grade_core_is_not_bright_in_t1ce(cases):
    case = first_of_variety(cases, Variety.NO_ET)
    image = case.images[Modality.T1CE]
    core = image[case.labels == Label.NECROTIC]
    assert np.percentile(core, 99) < 1.25 * np.median(image[brain(case)])


def test_the_largest_bright_component_of_t1ce_is_not_enhancing_tumour(cases):
    for case in cases:
        image = case.images[Modality.T1CE].astype(np.float32)
        inside = image[brain(case)]
        for threshold in (2, 5):
            bright = (image - inside.mean()) / inside.std() > threshold
            largest = cc3d.largest_k(bright, k=1, connectivity=26, binary_image=True) > 0
            assert largest.sum() > 200
            assert not (case.labels[largest] == Label.ENHANCING).any()


def test_enhancing_tumour_is_at_least_3_mm_inside_the_oedema(cases):
    labels = first_of_variety(cases, Variety.SEVERAL).labels
    depth_mm = ndimage.distance_transform_edt(labels > 0)
    assert depth_mm[labels == Label.ENHANCING].min() > 3


def test_the_layout_is_that_of_brats_2020(folder):
    assert sorted(p.name for p in folder.iterdir()) == [
        "Phantom20_001",
        "Phantom20_002",
        "Phantom20_003",
        "name_mapping.csv",
        "phantom.json",
    ]
    assert sorted(p.name for p in (folder / "Phantom20_003").iterdir()) == [
        f"Phantom20_003_{part}.nii.gz" for part in ("flair", "seg", "t1", "t1ce", "t2")
    ]
    contents = json.loads((folder / "phantom.json").read_text())
    assert (contents["seed"], contents["cases"], contents["version"]) == (4, 3, generator.VERSION)
    assert contents["varieties"]["Phantom20_002"] == "tiny_et"


def test_name_mapping_lists_the_grade(tmp_path):
    phantoms.write_mapping(tmp_path / "name_mapping.csv", GLIOMA, phantoms.OLD, 6)
    rows = list(csv.DictReader((tmp_path / "name_mapping.csv").read_text().splitlines()))
    assert {row["BraTS_2020_subject_ID"]: row["Grade"] for row in rows}["Phantom20_004"] == "LGG"
    assert [row["Grade"] for row in rows].count("HGG") == 5
    assert rows[0]["BraTS_2017_subject_ID"] == "NA"


def test_a_complete_dataset_is_left_unchanged(folder):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert write_dataset(folder, cases=2, seed=4, scale=SMALL) == ["Phantom20_001", "Phantom20_002"]
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


def test_a_folder_of_an_earlier_version_keeps_its_case_ids_and_grows_by_them(tmp_path, monkeypatch):
    earlier = replace(phantoms.OLD, case=phantoms.OLD.earlier)
    with monkeypatch.context() as patch:
        patch.setitem(phantoms.NAMES, "brats2017", earlier)
        assert write_dataset(tmp_path, cases=2, seed=1, scale=0.2) == ["BraTS20_Training_001", "BraTS20_Training_002"]
    grown = write_dataset(tmp_path, cases=3, seed=1, scale=0.2)
    assert grown == ["BraTS20_Training_001", "BraTS20_Training_002", "BraTS20_Training_003"]
    assert list(phantoms.varieties(tmp_path)) == grown == sorted(p.name for p in tmp_path.iterdir() if p.is_dir())


def test_a_mask_is_that_of_a_phantom_by_its_folder_or_its_name(folder, tmp_path):
    assert phantoms.is_phantom(folder / "Phantom20_001" / "anything.nii.gz")
    for name, known in (("Phantom20_001", True), ("Phantom-GLI-00001-100", True), ("BraTS20_Training_001", False)):
        assert phantoms.is_phantom(tmp_path / f"{name}.nii.gz") == known


@pytest.mark.parametrize("held", [{0, 1, 2}, {0, 1, 2, 4}])
def test_the_name_of_a_phantom_shows_the_label_convention_even_without_enhancing_tumour(held):
    found = decide("auto", "", ["Phantom20_004"], None, {"Phantom20_004": frozenset(held)}, scheme=GLIOMA)
    assert found.name == "brats2017"


def test_an_incomplete_dataset_is_completed_and_progress_is_reported(tmp_path):
    folder, reported = tmp_path / "set", []
    write_dataset(folder, cases=2, seed=1, scale=0.2)
    lost = folder / "Phantom20_002" / "Phantom20_002_t1.nii.gz"
    before = lost.read_bytes()
    lost.unlink()
    write_dataset(
        folder, cases=3, seed=1, scale=0.2, workers=2, progress=lambda done, total: reported.append((done, total))
    )
    assert lost.read_bytes() == before
    assert reported == [(1, 3), (2, 3), (3, 3)]
    assert json.loads((folder / "phantom.json").read_text())["cases"] == 3


def test_a_folder_with_other_contents_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty and holds no phantoms"):
        write_dataset(tmp_path, cases=1, seed=0, scale=0.2)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_phantoms_of_another_seed_are_refused(folder):
    with pytest.raises(DataError, match=r"holds phantoms of seed 4, not 5"):
        write_dataset(folder, cases=3, seed=5, scale=SMALL)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(DataError, match="is a file"):
        write_dataset(path, cases=1, seed=0, scale=0.2)


def test_a_scale_above_1_is_refused():
    with pytest.raises(ValueError, match="0 < scale <= 1"):
        phantom_case(0, 0, scale=2)


def test_phantom_json_of_gliomas_holds_what_it_held_before_there_were_schemes(folder):
    contents = json.loads((folder / "phantom.json").read_text())
    assert list(contents) == ["generator", "version", "seed", "scale", "cases", "varieties", SEAL]


@pytest.fixture(scope="module")
def operated(tmp_path_factory):
    """Three small phantoms of glioma_post on disk."""
    path = tmp_path_factory.mktemp("phantoms") / "post"
    write_dataset(path, cases=3, seed=4, scheme=POST, scale=SMALL)
    return path


def test_the_names_and_integers_of_glioma_post_are_those_of_brats_2024(operated):
    assert sorted(p.name for p in operated.iterdir()) == [
        *(f"Phantom-GLI-0000{i}-100" for i in (1, 2, 3)),
        "phantom.json",
    ]
    name = "Phantom-GLI-00001-100"
    assert sorted(p.name for p in (operated / name).iterdir()) == [
        f"{name}-{part}.nii.gz" for part in ("seg", "t1c", "t1n", "t2f", "t2w")
    ]
    case = phantom_case(4, 0, scheme=POST, scale=SMALL)
    written = nifti.read_integers(operated / name / f"{name}-seg.nii.gz").array
    for label, integer in (("NCR", 1), ("ED", 2), ("ET", 3), ("RC", 4)):
        np.testing.assert_array_equal(written == integer, case.labels == POST.labels[label].value)
        assert (written == integer).any()


@pytest.mark.parametrize("scheme", [GLIOMA, POST, builtin("lesion"), OWN], ids=lambda scheme: scheme.name)
def test_masks_are_read_back_as_they_were_made_without_a_label_convention(scheme, tmp_path):
    write_dataset(tmp_path, cases=2, seed=2, scheme=scheme, scale=0.2)
    dataset = find_cases(tmp_path, modalities=tuple(Modality), masks_required=True)
    masks = {case.id: nifti.read_integers(case.mask).array for case in dataset.cases}
    sets = {case_id: integers_of(mask) for case_id, mask in masks.items()}
    convention = decide("auto", dataset.layout, sorted(masks), dataset.declared_labels, sets, scheme=scheme)
    for index, (case_id, mask) in enumerate(sorted(masks.items())):
        made = phantom_case(2, index, scheme=scheme, scale=0.2).labels
        np.testing.assert_array_equal(convention.decode(mask, where=case_id), made)


def test_a_scheme_with_the_labels_of_gliomas_and_other_integers_gets_names_of_those(tmp_path):
    plain = builtin().as_dict()
    plain["name"], plain["integers"] = "newer", {"brats2023": plain["integers"]["brats2023"]}
    scheme = scheme_of(plain)
    assert write_dataset(tmp_path, cases=1, seed=3, scheme=scheme, scale=SMALL) == ["Phantom-GLI-00001-100"]
    mask = nifti.read_integers(tmp_path / "Phantom-GLI-00001-100" / "Phantom-GLI-00001-100-seg.nii.gz").array
    labels = phantom_case(3, 0, scale=SMALL).labels
    np.testing.assert_array_equal(mask, np.where(labels == 4, 3, labels))
    assert not (tmp_path / "name_mapping.csv").exists()


def test_phantoms_of_another_scheme_labels_or_grid_are_refused(folder, operated, tmp_path):
    with pytest.raises(DataError, match=r"holds phantoms of scheme glioma, not glioma_post\. Choose another folder"):
        write_dataset(folder, cases=3, seed=4, scheme=POST, scale=SMALL)
    with pytest.raises(DataError, match="holds phantoms of scheme glioma_post, not glioma"):
        write_dataset(operated, cases=3, seed=4, scale=SMALL)
    with pytest.raises(DataError, match=r"holds phantoms of grid 240×240×155, not 182×218×182"):
        write_dataset(folder, cases=3, seed=4, grid=ScanGrid((182, 218, 182)), scale=SMALL)
    with pytest.raises(DataError, match=r"holds phantoms of spacing_mm 1×1×1, not 1×1×5"):
        write_dataset(folder, cases=3, seed=4, grid=ScanGrid((240, 240, 155), (1, 1, 5)), scale=SMALL)
    write_dataset(tmp_path, cases=1, seed=0, scheme=OWN, scale=0.2)
    other = scheme_of({"name": "mine", "labels": {"a": 1, "b": 7}, "regions": {"R1": ["a", "b"], "R2": ["b"]}})
    with pytest.raises(DataError, match="holds phantoms of labels a 1, b 2, not a 1, b 7"):
        write_dataset(tmp_path, cases=1, seed=0, scheme=other, scale=0.2)


def test_a_scheme_whose_conventions_lack_a_label_is_refused(tmp_path):
    plain = {"labels": {"a": 1, "b": 2}, "regions": {"R1": ["a", "b"], "R2": ["b"]}, "integers": {"one": {"a": 1}}}
    with pytest.raises(SettingsError, match="No label convention of the scheme own has an integer for each of a, b"):
        write_dataset(tmp_path, cases=1, seed=0, scheme=scheme_of(plain), scale=0.2)

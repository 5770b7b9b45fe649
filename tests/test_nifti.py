import gzip

import nibabel
import numpy as np
import pytest

from brats_unet.errors import DataError, MachineError
from brats_unet.nifti import (
    GEOMETRY,
    quantised_by,
    read_array,
    read_header,
    read_integers,
    read_volume,
    write_volume,
)
from brats_unet.volume import Volume

AFFINE = np.array([[-1.0, 0, 0, 5], [0, -1.0, 0, 239], [0, 0, 2.0, -3], [0, 0, 0, 1]])
OBLIQUE = np.array([[-1.2, 0.3, 0.2, 5], [0.1, -1.0, 0.6, 239], [0.4, 0.2, 2.0, -3], [0, 0, 0, 1]])
SCAN = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
ENDINGS = ["nii", "nii.gz"]


def image_file(path, array, affine=AFFINE, *, slope=None, sform=1, qform=1, change=lambda header: None):
    """Write a NIfTI file with nibabel alone, as other tools do; `slope` goes into the header, the voxels stay as they are."""
    image = nibabel.Nifti1Image(array, affine, dtype=array.dtype)
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    change(image.header)
    data = bytearray(image.to_bytes())
    if slope is not None:
        data[112:116] = np.float32(slope).tobytes()  # scl_slope in the header
    path.write_bytes(gzip.compress(bytes(data)) if path.name.endswith(".gz") else bytes(data))
    return path


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_reading_gives_what_was_written(tmp_path, ending, dtype):
    path = tmp_path / f"scan.{ending}"
    write_volume(path, Volume(SCAN.astype(dtype), AFFINE))
    back = read_volume(path)
    assert back.array.dtype == dtype
    np.testing.assert_array_equal(back.array, SCAN)
    np.testing.assert_array_equal(back.affine, AFFINE)
    assert back.spacing_mm == (1, 1, 2)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ENDINGS)
def test_nibabel_reads_what_we_write(tmp_path, ending):
    path = tmp_path / f"scan.{ending}"
    write_volume(path, Volume(SCAN, AFFINE))
    image = nibabel.load(path)
    np.testing.assert_array_equal(np.asarray(image.dataobj), SCAN)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    np.testing.assert_allclose(image.get_qform(), AFFINE, atol=1e-6)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_header_holds_shape_affine_and_type(tmp_path, ending):
    header = read_header(image_file(tmp_path / f"scan.{ending}", SCAN))
    assert header.shape == (2, 3, 4) and header.dtype == np.int16 and header.spacing_mm == (1, 1, 2)
    np.testing.assert_array_equal(header.affine, AFFINE)


def test_a_gzip_file_is_recognised_by_its_content_not_its_name(tmp_path):
    packed = image_file(tmp_path / "scan.nii.gz", SCAN).rename(tmp_path / "scan.nii")
    np.testing.assert_array_equal(read_volume(packed).array, SCAN)
    assert read_header(packed).shape == (2, 3, 4)


@pytest.mark.parametrize("read", [read_volume, read_integers, read_array])
@pytest.mark.parametrize("keep", [0, 1, 9, 200, 347, 348, 352, 400, -200, -5, -1])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_truncated_file_is_refused_wherever_it_ends_and_the_message_names_it(tmp_path, ending, keep, read):
    noise = np.random.default_rng(0).integers(0, 256, (9, 9, 9)).astype(np.uint8)
    path = image_file(tmp_path / f"BraTS20_Training_007_seg.{ending}", noise)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        DataError, match=r"BraTS20_Training_007_seg\.nii.*damaged or cut short: copy or download it again"
    ) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_truncated_header_is_refused(tmp_path):
    (tmp_path / "scan.nii").write_bytes(bytes(100))
    with pytest.raises(DataError, match="damaged or cut short"):
        read_header(tmp_path / "scan.nii")


def test_a_file_that_is_not_nifti_raises_an_error_and_prints_nothing(tmp_path, capfd):
    (tmp_path / "scan.nii").write_text("words of nobody\n" * 40)
    with pytest.raises(DataError, match="cannot be read as NIfTI"):
        read_volume(tmp_path / "scan.nii")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"<html>404</html>" * 50, b"\x1f\x8b" + b"\0" * 600, bytes(range(256)) * 4])
def test_files_that_are_not_nifti_are_refused(tmp_path, content):
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(content)
    for read in (read_volume, read_header, read_integers):
        with pytest.raises(DataError, match=r"scan\.nii\.gz"):
            read(path)


@pytest.mark.parametrize("read", [read_volume, read_header])
def test_a_missing_file_and_a_folder_are_refused(tmp_path, read):
    with pytest.raises(DataError, match="No such file"):
        read(tmp_path / "nothing.nii.gz")
    with pytest.raises(DataError, match="Is a directory"):
        read(tmp_path)


def test_a_colour_image_is_not_a_scan(tmp_path):
    colours = np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    path = image_file(tmp_path / "colour.nii", colours)
    with pytest.raises(DataError, match="Expected one number per voxel"):
        read_volume(path)
    with pytest.raises(DataError, match="Expected one number per voxel"):
        read_integers(path)


def test_one_channel_of_a_4d_file_is_one_scan(tmp_path):
    four = np.stack([SCAN, 10 * SCAN], axis=-1)
    path = image_file(tmp_path / "BRATS_001.nii.gz", four)
    np.testing.assert_array_equal(read_volume(path, channel=1).array, 10 * SCAN)
    np.testing.assert_array_equal(read_array(path).array, four)


def test_a_4d_file_needs_an_existing_channel(tmp_path):
    path = image_file(tmp_path / "BRATS_001.nii.gz", np.stack([SCAN, SCAN], axis=-1))
    with pytest.raises(DataError, match="Expected three axes: one scan per file"):
        read_volume(path)
    with pytest.raises(DataError, match="Expected four axes with channel 2"):
        read_volume(path, channel=2)
    with pytest.raises(DataError, match="Expected four axes with channel 0"):
        read_volume(image_file(tmp_path / "flat.nii", SCAN), channel=0)


def test_a_fourth_axis_of_length_1_is_dropped(tmp_path):
    assert read_volume(image_file(tmp_path / "scan.nii", SCAN[..., None])).array.shape == (2, 3, 4)


def test_the_slope_in_the_header_scales_the_voxels(tmp_path):
    np.testing.assert_allclose(read_volume(image_file(tmp_path / "scan.nii", SCAN, slope=0.5)).array, SCAN / 2)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_a_mask_of_any_type_becomes_integers(tmp_path, dtype):
    mask = read_integers(image_file(tmp_path / "seg.nii.gz", np.array([[[0, 1, 2, 4]]], dtype)))
    assert mask.array.dtype == np.int16 and mask.array.ravel().tolist() == [0, 1, 2, 4]


def test_a_slope_of_0_99999997_does_not_change_the_labels(tmp_path):
    path = image_file(tmp_path / "seg.nii.gz", np.array([[[0, 1, 2, 4]]], np.uint8), slope=0.99999997)
    assert read_volume(path).array.max() != 4  # else there is nothing to round
    assert read_integers(path).array.ravel().tolist() == [0, 1, 2, 4]


def test_a_mask_quantised_by_its_slope_is_rounded_within_half_a_step(tmp_path):
    # As nibabel writes the numbers 0, 1, 2 and 4 to uint8: in steps of 4 / 255, so that 2 becomes 1.992.
    stored = np.array([[[0, 64, 127, 255]]], np.uint8)
    path = image_file(tmp_path / "seg.nii.gz", stored, slope=4 / 255)
    assert read_volume(path).array.ravel() == pytest.approx([0, 1.004, 1.992, 4], abs=1e-3)
    assert read_integers(path).array.ravel().tolist() == [0, 1, 2, 4]
    assert quantised_by(path) == pytest.approx(4 / 255)
    between = image_file(tmp_path / "scan.nii.gz", np.array([[[0, 60]]], np.uint8), slope=4 / 255)
    with pytest.raises(DataError, match="not an integer"):
        read_integers(between)
    for slope in (1, 0.5, 0.99999997):
        assert quantised_by(image_file(tmp_path / "other.nii.gz", stored, slope=slope)) == 0


@pytest.mark.parametrize("value", [0.5, 1.5, np.nan, np.inf])
def test_a_voxel_that_is_not_an_integer_is_refused(tmp_path, value):
    path = image_file(tmp_path / "seg.nii.gz", np.array([[[0, value]]], np.float32))
    with pytest.raises(DataError, match=rf"holds {value}.*not an integer. Expected a mask of labels, not a scan"):
        read_integers(path)


@pytest.mark.parametrize(("dtype", "value"), [("int16", 256), ("int16", -1), ("float32", 70000), ("uint16", 65535)])
def test_a_label_outside_0_to_255_is_refused(tmp_path, dtype, value):
    path = image_file(tmp_path / "seg.nii.gz", np.array([[[0, value]]], dtype))
    with pytest.raises(DataError, match="Expected labels from 0 to 255"):
        read_integers(path)


@pytest.mark.parametrize(("value", "rounds"), [(1.0009, True), (0.9991, True), (1.0011, False), (0.9989, False)])
def test_a_voxel_counts_as_an_integer_within_a_thousandth(tmp_path, value, rounds):
    path = image_file(tmp_path / "seg.nii.gz", np.array([[[0, value]]], np.float64))
    if rounds:
        assert read_integers(path).array.max() == 1
    else:
        with pytest.raises(DataError, match="not an integer"):
            read_integers(path)


def test_minus_0_in_a_mask_is_read_as_0(tmp_path):
    mask = read_integers(image_file(tmp_path / "seg.nii.gz", np.array([[[-0.0, 1]]], np.float32)))
    assert mask.array.ravel().tolist() == [0, 1]


@pytest.mark.parametrize("version", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_damaged_extensions_do_no_harm(tmp_path, version):
    image = version(SCAN, AFFINE)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"a note " * 4))
    data = bytearray(image.to_bytes())
    start = 352 if version is nibabel.Nifti1Image else 544
    data[start : start + 4] = (9999).to_bytes(4, "little")  # its length, which is no multiple of 16
    path = tmp_path / "scan.nii"
    path.write_bytes(data)
    np.testing.assert_array_equal(read_volume(path).array, SCAN)
    assert read_header(path).shape == SCAN.shape


@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (2, 0), (0, 1), (4, 1)])
def test_a_mask_written_like_a_scan_has_its_affine_codes_and_units(tmp_path, sform, qform):
    def with_extras(header):
        header["descrip"] = b"words of the scanner"
        header["cal_max"] = 900
        header.set_xyzt_units("mm", "sec")
        header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"a note " * 40))

    scan = image_file(tmp_path / "scan.nii.gz", SCAN.astype("float32"), sform=sform, qform=qform, change=with_extras)
    mask = tmp_path / "mask.nii.gz"
    write_volume(mask, Volume((SCAN % 3).astype(np.uint8)), like=scan)
    before, after = nibabel.load(scan), nibabel.load(mask)
    np.testing.assert_array_equal(np.asarray(after.dataobj), SCAN % 3)
    assert after.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(after.affine, before.affine)
    for name in ("sform_code", "qform_code", "srow_x", "quatern_b", "qoffset_y", "pixdim", "xyzt_units"):
        np.testing.assert_array_equal(after.header[name], before.header[name], err_msg=name)
    assert after.header["descrip"].item() == b"" and list(after.header.extensions) == []
    assert after.header["cal_max"] == 0  # a viewer must not apply the scan's intensity window to labels


TEXT_FIELDS = ("data_type", "db_name", "descrip", "aux_file", "intent_name")


def test_of_a_scan_s_header_a_mask_keeps_geometry_codes_and_units_and_nothing_else(tmp_path):
    marked = nibabel.Nifti1Image(SCAN, AFFINE)
    for field in TEXT_FIELDS:
        marked.header[field] = b"Doe^Jane"
    for field, value in {"extents": 77, "session_error": 7, "regular": b"r", "dim_info": 57, "slice_code": 3}.items():
        marked.header[field] = value
    for field in ("intent_code", "intent_p1", "intent_p2", "intent_p3", "slice_duration", "toffset", "cal_max"):
        marked.header[field] = 5
    for field in ("slice_start", "slice_end", "glmax", "glmin", "cal_min"):
        marked.header[field] = 2
    marked.header["pixdim"][4:] = 9
    marked.header.set_xyzt_units("micron", "sec")
    marked.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Doe^Jane, born 1950"))
    nibabel.save(marked, tmp_path / "scan.nii")
    write_volume(tmp_path / "mask.nii", Volume((SCAN % 3).astype(np.uint8)), like=tmp_path / "scan.nii")

    assert b"Doe" not in (tmp_path / "mask.nii").read_bytes()
    mask, plain = nibabel.load(tmp_path / "mask.nii"), nibabel.Nifti1Image((SCAN % 3).astype(np.uint8), AFFINE)
    assert list(mask.header.extensions) == []
    assert mask.header.get_xyzt_units() == ("micron", "sec")
    np.testing.assert_array_equal(mask.affine, nibabel.load(tmp_path / "scan.nii").affine)
    kept = {*GEOMETRY, "pixdim", "vox_offset", "scl_slope", "scl_inter", "magic"}
    for field in set(plain.header) - kept:
        assert mask.header[field].tobytes() == plain.header[field].tobytes(), field
    assert mask.header["pixdim"][4:].tolist() == plain.header["pixdim"][4:].tolist()


def test_a_mask_written_like_a_scaled_scan_is_not_scaled(tmp_path):
    scan = image_file(tmp_path / "scan.nii", SCAN, slope=0.25)
    write_volume(tmp_path / "mask.nii", Volume((SCAN % 3).astype(np.uint8)), like=scan)
    np.testing.assert_array_equal(read_integers(tmp_path / "mask.nii").array, SCAN % 3)


def test_a_mask_written_like_a_4d_file_has_three_axes(tmp_path):
    scan = image_file(tmp_path / "scan.nii", np.stack([SCAN, SCAN], axis=-1))
    write_volume(tmp_path / "mask.nii", Volume((SCAN % 3).astype(np.uint8)), like=scan)
    assert read_header(tmp_path / "mask.nii").shape == (2, 3, 4)
    np.testing.assert_array_equal(read_header(tmp_path / "mask.nii").affine, AFFINE)


def test_minus_0_in_an_affine_is_kept(tmp_path):
    affine = AFFINE.copy()
    affine[0, 3] = -0.0
    scan = image_file(tmp_path / "scan.nii", SCAN, affine)
    write_volume(tmp_path / "mask.nii", Volume(SCAN), like=scan)
    np.testing.assert_array_equal(read_volume(tmp_path / "mask.nii").affine, affine)
    assert np.signbit(read_volume(tmp_path / "mask.nii").affine[0, 3])


def test_writing_a_volume_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_volume(tmp_path / name / "mask.nii.gz", Volume(SCAN, AFFINE))
    assert (tmp_path / "a/mask.nii.gz").read_bytes() == (tmp_path / "b/mask.nii.gz").read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_leaves_the_old_file_and_no_partial_file(tmp_path, ending, monkeypatch):
    path = tmp_path / f"mask.{ending}"
    path.write_bytes(b"the old file")

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(MachineError, match=r"mask\.nii.*No space left on device.*Make room"):
        write_volume(path, Volume(SCAN, AFFINE))
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"the old file"


def test_writing_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be written"):
        write_volume(tmp_path / "file" / "scan.nii.gz", Volume(np.zeros((2, 2, 2), np.int16)))


def test_nifti_2_is_read_like_nifti_1_and_a_mask_copies_its_geometry(tmp_path):
    image = nibabel.Nifti2Image(SCAN, OBLIQUE)
    image.header.set_xyzt_units("mm")
    for path in (tmp_path / "scan.nii", tmp_path / "scan.nii.gz"):
        path.write_bytes(gzip.compress(image.to_bytes()) if path.suffix == ".gz" else image.to_bytes())
        read = read_volume(path)
        np.testing.assert_array_equal(read.array, SCAN)
        np.testing.assert_allclose(read.affine, OBLIQUE)
        assert read_header(path).shape == (2, 3, 4) and read_header(path).dtype == np.int16
    write_volume(tmp_path / "mask.nii.gz", Volume((SCAN % 3).astype(np.uint8)), like=tmp_path / "scan.nii")
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    assert isinstance(mask, nibabel.Nifti1Image) and mask.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(mask.affine, OBLIQUE, atol=1e-5)


@pytest.mark.parametrize("ending", ["mgz", "mgh"])
def test_freesurfer_files_are_read_and_written(tmp_path, ending):
    path = tmp_path / f"scan.{ending}"
    write_volume(path, Volume(SCAN, OBLIQUE))
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == (ending == "mgz")
    data = gzip.decompress(path.read_bytes()) if ending == "mgz" else path.read_bytes()
    np.testing.assert_array_equal(np.asarray(nibabel.MGHImage.from_bytes(data).dataobj), SCAN)
    read = read_volume(path)
    np.testing.assert_array_equal(read.array, SCAN)
    assert read.array.dtype == np.int16  # in the byte order of the machine
    np.testing.assert_allclose(read.affine, OBLIQUE, atol=1e-5)
    assert read_header(path).shape == (2, 3, 4)
    write_volume(tmp_path / "mask.nii.gz", Volume((SCAN % 3).astype(np.uint8)), like=path)
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_allclose(mask.affine, OBLIQUE, atol=1e-5)
    assert int(mask.header["sform_code"]) == 1 and mask.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize(
    ("start", "number", "reason"),
    [(20, 255, "unknown voxel type 255"), (4, 0, "Dimensions of the data should be non-zero")],
)
def test_a_freesurfer_file_with_a_wrong_header_is_refused(tmp_path, start, number, reason):
    path = tmp_path / "scan.mgh"
    write_volume(path, Volume(SCAN, AFFINE))
    data = bytearray(path.read_bytes())
    data[start : start + 4] = number.to_bytes(4, "big")
    path.write_bytes(data)
    for read in (read_volume, read_header):
        with pytest.raises(DataError, match=rf"scan\.mgh: cannot be read as NIfTI \(.*; {reason}\)"):
            read(path)


@pytest.mark.parametrize("keep", [0, 3, 50, 284, 300, 331])
def test_a_truncated_freesurfer_file_is_refused(tmp_path, keep):
    path = tmp_path / "scan.mgh"
    write_volume(path, Volume(SCAN, AFFINE))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"scan\.mgh.*damaged or cut short: copy or download it again"):
        read_volume(path)

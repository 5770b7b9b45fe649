"""Folders of TIFF slices: order, axes and broken files."""

import struct

import numpy as np
import pytest
from PIL import Image

from brats_unet.errors import DataError
from brats_unet.tiff_slices import (
    MASK,
    SCANS,
    is_tiff,
    picture_size,
    read_masks,
    read_picture,
    read_scans,
    size_in,
    slices_in,
)
from tests.changed_bytes import each_byte_changed
from tests.slices import patient, picture, slice_file, tumour


def test_slice_10_follows_slice_9_and_not_slice_1(tmp_path):
    for number in (1, 2, 9, 10):
        Image.fromarray(np.full((4, 5), number, np.uint8)).save(tmp_path / f"a_{number}_mask.tif")
    assert list(slices_in(tmp_path).masks) == [1, 2, 9, 10]
    assert read_masks(tmp_path)[0, 0].tolist() == [1, 2, 9, 10]


def test_columns_become_x_rows_y_and_slices_z(tmp_path):
    folder = patient(tmp_path)
    scans, masks = read_scans(folder), read_masks(folder)
    assert (scans.shape, scans.dtype, masks.shape, masks.dtype) == ((8, 8, 3, 3), np.uint8, (8, 8, 3), np.uint8)
    for number in (1, 2, 3):
        assert np.array_equal(scans[:, :, number - 1], picture(number).swapaxes(0, 1))
        assert np.array_equal(masks[:, :, number - 1], tumour(number).T)
    assert masks[3:6, 2:4, 1].tolist() == [[255, 255]] * 3 and masks.sum() == 6 * 255


def test_the_size_is_columns_rows_slices(tmp_path):
    for number in (1, 2):
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / f"a_{number}.tif")
    assert size_in(tmp_path) == (5, 4, 2) == read_scans(tmp_path).shape[:3]


def test_deflated_slices_are_read(tmp_path):
    Image.fromarray(picture(1)).save(tmp_path / "a_1.TIFF", compression="tiff_adobe_deflate")
    assert np.array_equal(read_scans(tmp_path)[:, :, 0], picture(1).swapaxes(0, 1))


def test_files_that_finder_leaves_behind_are_no_slices(tmp_path):
    assert is_tiff(tmp_path / "a_1.tif") and is_tiff(tmp_path / "a_1.TIFF")
    assert not is_tiff(tmp_path / "._a_1.tif") and not is_tiff(tmp_path / "a_1.png")


def test_names_are_sorted_into_slices_masks_doubles_and_others(tmp_path):
    for name in ("a_1.tif", "a_01.tif", "a_2_mask.tif", "b_3.tif", "overview.tif"):
        (tmp_path / name).touch()
    found = slices_in(tmp_path)
    assert found.names == {"a", "b"}
    assert [path.name for path in found.files] == ["a_01.tif", "b_3.tif", "a_2_mask.tif"]
    assert [tuple(path.name for path in pair) for pair in found.twice] == [("a_01.tif", "a_1.tif")]
    assert [path.name for path in found.others] == ["overview.tif"]


@pytest.mark.parametrize("cut", [0, 3, 150])
def test_a_truncated_slice_is_named(tmp_path, cut):
    file = slice_file(patient(tmp_path), 2)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(
        DataError, match=rf"_2\.tif: cannot be read as TIFF \({cut} bytes\). It is probably damaged or cut short"
    ):
        read_picture(file, SCANS)


def test_a_slice_whose_place_in_the_file_is_a_fraction_is_named(tmp_path):
    file = slice_file(patient(tmp_path), 2)
    data = bytearray(file.read_bytes())
    entries = int.from_bytes(data[4:8], "little") + 2
    at = next(at for at in range(entries, len(data), 12) if int.from_bytes(data[at : at + 2], "little") == 273)
    data[at + 2 : at + 4] = (5).to_bytes(2, "little")  # type of StripOffsets: RATIONAL
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"_2\.tif: cannot be read as TIFF"):
        read_picture(file, SCANS)


def test_a_missing_slice_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a_1\.tif: No such file or directory. Expected a readable TIFF file"):
        picture_size(tmp_path / "a_1.tif")


def test_a_grey_picture_is_no_scan(tmp_path):
    file = slice_file(patient(tmp_path), 1, mask=True)
    assert picture_size(file) == ((8, 8), MASK)
    with pytest.raises(DataError, match=r"_1_mask\.tif: channels L. Expected RGB, with 8 bits a channel"):
        read_picture(file, SCANS)


def test_slices_of_two_sizes_are_refused(tmp_path):
    folder = patient(tmp_path)
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(slice_file(folder, 3))
    with pytest.raises(DataError, match=r"_3\.tif: 9×8 pixels, the first slice has 8×8. Expected one size"):
        read_scans(folder)


def test_a_folder_without_slices_or_masks_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no slice. Expected TIFF files named <name>_<n>.tif"):
        read_scans(tmp_path)
    with pytest.raises(DataError, match=r"no slice"):
        size_in(tmp_path)
    with pytest.raises(DataError, match=r"no mask. Expected TIFF files named <name>_<n>_mask.tif"):
        read_masks(patient(tmp_path, masks=False))
    with pytest.raises(DataError, match=r"nowhere: No such file or directory. Expected a readable folder"):
        slices_in(tmp_path / "nowhere")


def test_a_slice_with_a_broken_exif_block_is_read_without_a_warning(tmp_path):
    file, private, exif = tmp_path / "a_1.tif", (65000).to_bytes(2, "little"), (34665).to_bytes(2, "little")
    Image.fromarray(picture(1)).save(file, tiffinfo={65000: 999_999})
    content = file.read_bytes()
    assert content.count(private) == 1
    file.write_bytes(content.replace(private, exif))  # now an EXIF block beyond the end of the file
    assert picture_size(file) == ((8, 8), SCANS)
    assert np.array_equal(read_picture(file, SCANS), picture(1))


@pytest.mark.parametrize(
    "tags", [{256: 12_000, 257: 11_000}, {277: 18_691}], ids=["132 million pixels", "18,691 channels"]
)
def test_a_slice_of_a_wrong_size_is_refused_and_pillow_says_nothing_beside(tmp_path, caplog, tags):
    Image.fromarray(picture(1)).save(file := tmp_path / "a_1.tif")
    content = bytearray(file.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if (tag := struct.unpack_from("<H", content, at)[0]) in tags:
            struct.pack_into("<HII", content, at + 2, 4, 1, tags[tag])  # one number of 32 bits
    file.write_bytes(content)
    for read in (picture_size, lambda path: read_picture(path, SCANS)):
        with pytest.raises(DataError, match="cannot be read as TIFF"):
            read(file)
    assert not caplog.records


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_a_damaged_packed_slice_is_refused_and_libtiff_says_nothing_beside(tmp_path, capfd, compression):
    Image.fromarray(picture(1)).save(file := tmp_path / "a_1.tif", compression=compression)
    refused = 0
    for changed in each_byte_changed(file.read_bytes(), first=8, mask=255):
        file.write_bytes(changed)
        try:
            read_picture(file, SCANS)
        except DataError:
            refused += 1
    assert refused > 9 and capfd.readouterr() == ("", "")

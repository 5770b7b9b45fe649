"""Headers of MetaImage and NRRD: refused before SimpleITK opens a file that does not hold what they promise."""

import gzip
import zlib

import pytest

from brats_unet.errors import DataError
from brats_unet.file_kinds import itk_headers
from brats_unet.file_kinds.itk_headers import fields_of, refuse_false_promise

META = "NDims = 3\nBinaryData = True\nDimSize = 2 3 4\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
NRRD = "NRRD0004\n# a remark: no field\ntype: short\ndimension: 3\nsizes: 2 3 4\nencoding: raw\n\n"
VOXELS = bytes(range(48))
NUMBERS = b"1 -2.5\n3e4 " + b"7 " * 21


def refuse(folder, ending, header, data=VOXELS):
    path = folder / f"a.{ending}"
    path.write_bytes(header.encode() + data)
    refuse_false_promise([path])


PACKED = META.replace("BinaryData", "CompressedData = True\nBinaryData")
STREAM = zlib.compress(VOXELS)


def packed(size=56):
    return f"CompressedDataSize = {size}\n{PACKED}"


SOUND = [
    ("mha", META, VOXELS),
    (
        "mha",
        META.replace("MET_SHORT", "MET_UCHAR_ARRAY\nElementNumberOfChannels = 2").replace("= LOCAL", "= LOCAL"),
        VOXELS,
    ),
    ("mha", packed(), STREAM),
    ("mha", packed(), STREAM + b"more"),
    ("mha", META.replace("True", "False"), NUMBERS),
    ("mha", META.replace("True", "t"), VOXELS),
    ("nrrd", NRRD, VOXELS),
    ("nrrd", NRRD.replace("raw", "ascii"), NUMBERS),
    ("nrrd", NRRD.replace("raw", "hex"), VOXELS.hex().encode()),
    ("nrrd", NRRD.replace("raw", "gzip"), gzip.compress(VOXELS, mtime=0)),
    ("nrrd", NRRD.replace("short", "unsigned char").replace("2 3 4", "4 3 4"), VOXELS),
    ("nrrd", NRRD.replace("short", "int64_t").replace("2 3 4", "2 3 1"), VOXELS),
]


@pytest.mark.parametrize(("ending", "header", "data"), SOUND, ids=map(str, range(len(SOUND))))
def test_a_header_that_keeps_its_promise_passes(tmp_path, ending, header, data):
    refuse(tmp_path, ending, header, data)


@pytest.mark.parametrize(
    ("ending", "header", "data", "words"),
    [
        ("mha", META, VOXELS[:-1], "its header promises 48 bytes, 47 are there"),
        ("nrrd", NRRD, VOXELS[:-1], "its header promises 48 bytes, 47 are there"),
        ("mha", META.replace("2 3 4", "99999 99999 99999"), VOXELS, "promises 1,999,940,000,599,998 bytes, 48"),
        ("mha", packed(28), zlib.compress(VOXELS[:20]), "promises 48 bytes, 20 are there"),
        ("mha", packed(57), zlib.compress(bytes([*VOXELS, 1])), "promises 48 bytes, 49 are there"),
        ("mha", packed(36), STREAM[:-20], "promises 48 bytes, "),
        ("mha", packed(99), STREAM, "promises 99 packed bytes, 56 are there"),
        ("mha", packed(-1), STREAM, "promises -1 packed bytes, 56 are there"),
        ("mha", packed(9), STREAM, "promises 48 bytes, 6 are there"),
        ("mha", packed(0), STREAM, "its header gives no CompressedDataSize"),
        ("mha", PACKED, STREAM, "its header gives no CompressedDataSize"),
        ("mha", packed(), STREAM[:-1] + bytes([STREAM[-1] ^ 1]), "its packed voxels are damaged"),
        ("mha", packed(52), STREAM[:-4], "checksum of its packed voxels is cut off"),
        ("nrrd", NRRD.replace("raw", "gzip"), VOXELS, "its packed voxels are damaged"),
        ("nrrd", NRRD.replace("raw", "bzip2"), VOXELS, "encoding bzip2; expected numbers, raw or gzip"),
        ("nrrd", NRRD.replace("short", "block"), VOXELS, "type block"),
        ("nrrd", NRRD.replace("sizes", "size"), VOXELS, "its header: 'sizes'"),
        ("mha", META.replace("2 3 4", "2 -3 4"), VOXELS, "expected two to four lengths of 1 or more"),
        ("mha", META.replace("DimSize = 2 3 4", "DimSize 2 3 4"), VOXELS, "the line DimSize 2 3 4 gives no value"),
        ("mha", f"CompressedDataSize = {300 * '9'}\n" + META, VOXELS, "its header is no text of short lines"),
        ("mha", META.replace("True", "99"), VOXELS, "BinaryData 99; expected True or False"),
        ("mha", META.replace("True", "False"), NUMBERS[:-2] + b" " * 9, "promises 24 numbers as text"),
        ("mha", META.replace("True", "False"), NUMBERS.replace(b"3e4", b"3;4"), "promises 24 numbers as text"),
        ("nrrd", NRRD.replace("raw", "ascii"), NUMBERS[:-2] + b" " * 9, "promises 24 numbers as text"),
        ("mha", "Offset = nan 0 0\n" + META, VOXELS, "nan 0 0 is not finite"),
        ("mha", "DimSize = 1 1 1\n" + META, VOXELS, "its header holds DimSize twice"),
        ("nrrd", NRRD.replace("2 3 4", "x" * 70_000), VOXELS, "its header is no text of short lines"),
        ("mha", "\0" + META, VOXELS, "its header is no text of short lines"),
    ],
    ids=map(str, range(28)),
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, ending, header, data, words):
    with pytest.raises(DataError, match="cannot be read.*" + words):
        refuse(tmp_path, ending, header, data)


def test_a_header_that_promises_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(itk_headers, "memory_available_bytes", lambda: 40)
    with pytest.raises(DataError, match="promises 48 bytes, but 40 bytes of memory are free"):
        refuse(tmp_path, "mha", META)


def test_the_voxels_may_lie_in_another_file(tmp_path):
    (tmp_path / "a.mhd").write_text(META.replace("LOCAL", "a.raw"))
    (tmp_path / "a.raw").write_bytes(VOXELS)
    refuse_false_promise([tmp_path / "a.mhd", tmp_path / "a.raw"])
    assert fields_of(tmp_path / "a.mhd")["ElementDataFile"] == "a.raw"

"""Arrays in .npy and .npz: numbers are read, everything else is refused in one clause."""

import io
import zipfile

import numpy as np
import pytest

from brats_unet.file_kinds.saved_arrays import array_in, arrays_in

ARRAY = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def header(text: str) -> bytes:
    padded = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


def test_arrays_come_back(tmp_path):
    np.save(tmp_path / "a.npy", ARRAY)
    np.testing.assert_array_equal(array_in(tmp_path / "a.npy"), ARRAY)
    np.savez_compressed(tmp_path / "a.npz", one=ARRAY, name="text")
    one, name = arrays_in(tmp_path / "a.npz", ("one", "name"))
    np.testing.assert_array_equal(one, ARRAY)
    assert str(name) == "text"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        header("{'descr': '<i2', 'fortran_order': False, 'shape': (1000000000000,)}"),
        header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}") + bytes(8),
        header("(" * 5000),
        header("__import__('os')"),
    ],
)
def test_a_file_that_is_no_array_is_refused(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a NumPy array of numbers"):
        array_in(tmp_path / "a.npy")


def test_complex_numbers_and_archives_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", ARRAY * 1j)
    with pytest.raises(ValueError, match="does not hold one number per voxel"):
        array_in(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", one=ARRAY)
    with pytest.raises(ValueError, match="one number per voxel|cannot be read"):
        array_in(tmp_path / "a.npz")


def archive(path, content, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("one.npy", content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            header("{'descr': '<i2', 'fortran_order': False, 'shape': (1000000000000,)}"),
            "promises 2,000,000,000,000 bytes",
        ),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}") + bytes(8), "allow_pickle"),
        (b"text", "not readable as arrays of numbers"),
    ],
)
def test_an_archive_that_lies_is_refused_and_nothing_is_allocated(tmp_path, content, words):
    archive(tmp_path / "a.npz", content)
    with pytest.raises(ValueError, match=words):
        arrays_in(tmp_path / "a.npz", ["one"])


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    saved = io.BytesIO()
    np.save(saved, np.zeros(3_000_000, np.int8))
    archive(tmp_path / "a.npz", saved.getvalue(), zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match="unpacks to 3,000,128 bytes from"):
        arrays_in(tmp_path / "a.npz", ["one"])


def test_an_archive_without_the_array_and_a_cut_one_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", one=ARRAY)
    with pytest.raises(ValueError, match="other"):
        arrays_in(tmp_path / "a.npz", ["other"])
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    with pytest.raises(ValueError, match="not readable"):
        arrays_in(tmp_path / "b.npz", ["one"])

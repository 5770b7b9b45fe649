"""JSON files with a hash of their content."""

import json

import pytest

from brats_unet.errors import CheckpointError
from brats_unet.json_files import SEAL, read_json, recorded_json, without_hashes, write_json

CONTENT = {"step": 7, "rate": 0.1, "names": ["é", "b"], "inside": {"b": None, "a": True}}


@pytest.fixture
def file(tmp_path):
    write_json(tmp_path / "one.json", CONTENT)
    return tmp_path / "one.json"


def test_the_content_comes_back_without_the_hash(file):
    assert read_json(file, what="x") == CONTENT == recorded_json(file, dict)
    assert list(json.loads(file.read_text())) == [*CONTENT, SEAL]


def test_the_hash_is_that_of_the_compact_text_with_sorted_keys(tmp_path):
    """`printf '{"a":1,"b":[true,null]}' | b2sum --length=128`"""
    write_json(tmp_path / "a.json", {"b": [True, None], "a": 1})
    assert json.loads((tmp_path / "a.json").read_text())[SEAL] == "d52a679b35ac6f295b5250df7aed1f27"


def test_order_and_blanks_do_not_matter(file):
    content = json.loads(file.read_text())
    file.write_text(json.dumps(dict(reversed(content.items()))))
    assert read_json(file, what="x") == CONTENT


def test_a_changed_value_is_refused_with_the_way_on_and_counts_as_absent_where_it_can_be_made_again(file):
    file.write_text(file.read_text().replace("0.1", "0.2"))
    with pytest.raises(CheckpointError) as raised:
        read_json(file, what="x", advice="Train again.")
    assert str(raised.value) == (
        f"{file}: it differs from what was written: its {SEAL} does not match. Restore it from a backup; if you changed "
        f"it yourself, delete the line of {SEAL}. Train again."
    )
    assert recorded_json(file, dict) is None


def test_a_file_without_the_hash_is_read(file):
    file.write_text(json.dumps({**CONTENT, "rate": 0.2}))
    assert read_json(file, what="x")["rate"] == recorded_json(file, dict)["rate"] == 0.2


def test_a_changed_bit_anywhere_is_refused_or_changes_nothing(file):
    text = file.read_bytes()
    refused = 0
    for place in range(len(text)):
        for bit in range(8):
            damaged = bytearray(text)
            damaged[place] ^= 1 << bit
            file.write_bytes(damaged)
            found = recorded_json(file, dict)
            if found is None:
                refused += 1
            else:  # a blank, or the name of the hash
                assert {key: value for key, value in found.items() if key in CONTENT} == CONTENT
    assert refused > 0.7 * 8 * len(text)


def test_keys_that_are_numbers_and_tuples_are_hashed_as_they_are_read(tmp_path):
    write_json(tmp_path / "a.json", {1: (2, 3), "b": float("inf")})
    assert read_json(tmp_path / "a.json", what="x") == {"1": [2, 3], "b": float("inf")}


def test_a_list_has_no_hash(tmp_path):
    write_json(tmp_path / "a.json", [1, 2])
    assert json.loads((tmp_path / "a.json").read_text()) == [1, 2]


def test_files_of_earlier_versions_without_a_hash_are_named_by_their_folder(file, tmp_path):
    assert without_hashes([file]) == without_hashes([]) == ""
    (old := tmp_path / "old" / "recipe.json").parent.mkdir()
    old.write_text("{}")
    found = without_hashes([file, old])
    assert found.startswith(f"{old.parent}: an earlier version wrote these files, without hashes")

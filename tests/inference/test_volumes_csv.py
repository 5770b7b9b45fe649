"""volumes.csv of several workers: each writes its own rows, which are collected into one file."""

from brats_unet.inference.volumes_csv import COLUMNS, collect_volumes, read_volumes, write_volumes


def rows(case_id, volume):
    return [dict.fromkeys(COLUMNS, "") | {"case": case_id, "region": "WT", "volume_ml": volume}]


def test_the_rows_of_all_workers_are_collected_in_one_file(tmp_path):
    write_volumes(tmp_path, {"b": rows("b", "1.000")})
    write_volumes(tmp_path, {"a": rows("a", "2.000")}, worker=1)
    write_volumes(tmp_path, {"c": rows("c", "3.000")}, worker=2)
    collect_volumes(tmp_path)
    found = read_volumes(tmp_path)
    assert [(name, found[name][0]["volume_ml"]) for name in found] == [("a", "2.000"), ("b", "1.000"), ("c", "3.000")]
    assert [path.name for path in tmp_path.iterdir()] == ["volumes.csv"]


def test_rows_are_collected_also_if_the_chief_wrote_none(tmp_path):
    write_volumes(tmp_path, {"a": rows("a", "2.000")}, worker=3)
    collect_volumes(tmp_path)
    assert list(read_volumes(tmp_path)) == ["a"]


def test_without_other_workers_nothing_is_written(tmp_path):
    collect_volumes(tmp_path)
    assert list(tmp_path.iterdir()) == []

"""The cases of a run are found again by its settings, whichever version wrote them."""

import pytest

from brats_unet.data.run_cases import held_out_cases
from brats_unet.errors import DataError
from brats_unet.json_files import write_json
from brats_unet.run import Run


@pytest.mark.parametrize("root", [None, "/nowhere", "/" + 300 * "9"])
def test_a_run_whose_data_are_gone_is_told_how_to_name_their_new_place(tmp_path, root):
    run = Run(tmp_path)
    data = {"name": "brats", "root": root, "modalities": ["flair"], "leave_out": [], "cache": "cache"}
    write_json(run.settings_file, {"data": data})  # without validation_root, as earlier versions
    write_json(run.folds_file, {"train": ["a"], "validation": ["b"]})
    with pytest.raises(DataError, match=r": there is no such folder, .*give its new place with data\.root"):
        held_out_cases(run)

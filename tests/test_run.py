import pytest

from brats_unet.errors import CheckpointError, MachineError
from brats_unet.json_files import write_json
from brats_unet.run import Run
from tests.whole_recipe import RECIPE


def paths(run):
    properties = [
        name
        for name in dir(Run)
        if name.endswith(("_file", "_folder")) and name not in ("checkpoint_file", "evaluation_folder")
    ]
    return [getattr(run, name) for name in properties] + [
        run.checkpoint_file("last"),
        run.checkpoint_file("best"),
        run.evaluation_folder(),
        run.evaluation_folder("best"),
    ]


def test_all_files_of_a_run_have_different_names_in_its_folder_and_none_is_created(tmp_path):
    run = Run(tmp_path / "runs" / "quick")
    found = paths(run)
    assert run.name == "quick" and len(set(found)) == len(found) >= 10
    assert all(path.is_relative_to(run.folder) for path in found)
    assert not run.folder.exists()


def test_settings_and_recipe_come_from_their_files(tmp_path):
    run = Run(tmp_path / "r")
    write_json(run.settings_file, {"seed": 1, "model": {"name": "unet3d"}})
    write_json(run.recipe_file, RECIPE)
    assert run.settings()["seed"] == 1 and run.recipe() == RECIPE


def test_a_missing_folder_and_a_folder_that_is_not_a_run_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such run folder"):
        Run(tmp_path / "typo").settings()
    with pytest.raises(CheckpointError, match=r"is not a run folder: there is no settings\.json"):
        Run(tmp_path).settings()
    with pytest.raises(CheckpointError, match=r"there is no recipe\.json"):
        Run(tmp_path).recipe()


@pytest.mark.parametrize("content", [b'{"seed": 1', b"\xff\xfe\x00", b""])
def test_settings_that_are_not_json_are_refused(tmp_path, content):
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="not readable as JSON"):
        Run(tmp_path).settings()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stride": [2, 0, 2]}, r"recipe.json: stride\[1\]=0 does not fit. Expected a whole number, 1 or more. Train"),
        (
            {"preparation": {}},
            r"recipe.json: preparation.modalities is missing. Expected a list such as \[a,b\]. Train",
        ),
        ({"convention": None}, "recipe.json: convention=null does not fit. Expected text. Train again"),
    ],
)
def test_a_recipe_with_a_value_of_another_type_or_without_one_is_refused(tmp_path, changes, words):
    write_json(tmp_path / "recipe.json", RECIPE | changes)
    with pytest.raises(CheckpointError, match=words):
        Run(tmp_path).recipe()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[1]", r"line 2: \[1\] does not fit"),
        ('{"step": 2}', "line 2: event is missing. Expected text. Delete it."),
        ('{"event": "step", "step": "two", "loss": 1}', "line 2: step=two does not fit. Expected a whole number, 0 or"),
        ('{"event": "validation", "step": 2, "dice": {"WT": 9}}', "line 2: dice.WT=9 does not fit"),
        (
            f'{{"event": "step", "step": {10**18}, "loss": 1}}',
            "Expected a whole number of at most 18 digits, 0 or more",
        ),
        ('{"event": "step", "step": 2, "loss": 1e300}', "line 2: loss=1e[+]300 does not fit"),
        ('{"event": "validation", "step": 2, "dice": [1]}', r"line 2: dice=\[1\] does not fit"),
    ],
)
def test_a_line_of_something_else_is_refused_with_its_number(tmp_path, line, words):
    run = Run(tmp_path)
    run.note("started")
    with open(run.journal_file, "a") as file:
        file.write(line + "\n")
    with pytest.raises(CheckpointError, match=words):
        run.journal()


def test_a_folder_named_settings_json_is_refused(tmp_path):
    (tmp_path / "settings.json").mkdir()
    with pytest.raises(CheckpointError, match="Is a directory"):
        Run(tmp_path).settings()


def test_a_run_folder_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be written"):
        Run(tmp_path / "file" / "run").note("step", step=1)
    with pytest.raises(MachineError, match="cannot be written"):
        write_json(tmp_path / "file" / "run" / "a.json", {})


def test_the_journal_returns_its_lines_of_one_event_or_of_all(tmp_path):
    run = Run(tmp_path / "r")
    assert run.journal() == []
    run.note("step", step=1, loss=0.5)
    run.note("validation", step=1, dice={"WT": 0.25})
    run.note("step", step=2, loss=0.25)
    assert [line["event"] for line in run.journal()] == ["step", "validation", "step"]
    assert run.journal("step") == [{"event": "step", "step": s, "loss": x} for s, x in ((1, 0.5), (2, 0.25))]
    assert run.journal("never") == []


@pytest.mark.parametrize("cut", [1, 2, 10])
def test_a_line_cut_short_by_a_crash_is_skipped_and_the_next_line_is_kept(tmp_path, cut):
    run = Run(tmp_path / "r")
    run.note("step", step=1, loss=0.5)
    run.note("step", step=2, loss=0.5)
    content = run.journal_file.read_bytes()
    run.journal_file.write_bytes(content[:-cut])
    left = [1, 2] if cut == 1 else [1]  # only the line break is lost: the line is complete
    assert [line["step"] for line in run.journal()] == left
    run.note("step", step=3, loss=0.5)
    assert [line["step"] for line in run.journal()] == [*left, 3]


def test_repeated_steps_appear_once_as_last_done(tmp_path):
    run = Run(tmp_path / "r")
    run.note("started")
    for step in (1, 2, 3, 4):
        run.note("step", step=step, loss=0.5, attempt=1)
        if step % 2 == 0:
            run.note("validation", step=step, dice={}, attempt=1)
    for step in (3,):  # resumed from step 2, and stopped before the validation at 4
        run.note("step", step=step, loss=0.5, attempt=2)
    assert [(line["event"], line.get("step"), line.get("attempt")) for line in run.journal()] == [
        ("started", None, None),
        ("step", 1, 1),
        ("step", 2, 1),
        ("validation", 2, 1),
        ("step", 3, 2),
    ]


def test_the_journal_refuses_nan_which_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        Run(tmp_path / "r").note("step", loss=float("nan"))


def test_a_process_that_only_reads_a_run_adds_nothing_to_its_journal(tmp_path):
    Run(tmp_path / "run", writes=False).note("step", step=1)
    assert not (tmp_path / "run").exists()

"""scripts/faults.py: its disturbances come where they were planned, its comparison sees what differs, and phantoms pass."""

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
before = list(sys.path)
sys.path.insert(0, str(SCRIPTS))
faults, fault_commands, fault_injection, fault_place, fault_results = map(
    importlib.import_module, ("faults", "fault_commands", "fault_injection", "fault_place", "fault_results")
)
sys.path[:] = before
Answer, Event = fault_results.Answer, fault_injection.Event

SCRIPT = """
import json, os, shutil, sys
sys.path.insert(0, sys.argv[1])
from fault_injection import Plan, watch
watch(Plan(**json.loads(sys.argv[2])))
os.mkdir("kept")
for name in ("a1", "a2", "a3"):
    with open(name, "w") as file:
        file.write(name * 50)
    os.replace(name, "kept/" + name)
open("kept/a1").read()
shutil.rmtree("kept")
"""


def disturbed(folder, how=None, event=None, nth=1):
    """Run the script above; returns its exit code, what it said, and its events."""
    (folder / "work").mkdir(exist_ok=True)
    (folder / "brats_unet").mkdir(exist_ok=True)
    (script := folder / "brats_unet" / "small.py").write_text(SCRIPT)
    plan = {"folder": str(folder / "work"), "log": str(folder / "log"), "how": how, "event": event, "nth": nth}
    done = subprocess.run(
        [sys.executable, script, SCRIPTS, json.dumps(plan)],
        cwd=folder / "work",
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr, [json.loads(line) for line in (folder / "log").read_text().splitlines()]


def test_every_file_event_is_recorded_with_its_kind_and_place(tmp_path):
    code, said, events = disturbed(tmp_path)
    assert (code, said) == (0, "")
    made = [["open", "a#", "small.py:8"], ["os.rename", "kept/a#", "small.py:10"]]
    gone = [[name, kind, "small.py:12"] for name, kind in [("os.remove", "kept/a#")] * 3 + [("os.rmdir", "kept")]]
    removed = ["shutil.rmtree", "kept", "small.py:12"]
    assert [event[:3] for event in events] == [["os.mkdir", "kept", "small.py:6"], *made * 3, removed, *gone]
    assert events[1][3] == str(tmp_path / "work" / "a1")


def test_a_kill_comes_at_the_planned_occurrence(tmp_path):
    code, said, events = disturbed(tmp_path, "kill", ["os.rename", "kept/a#", "small.py:10"], 2)
    assert (code, said) == (-9, "")
    assert events == [["os.rename", "kept/a#", "small.py:10", str(tmp_path / "work" / "kept" / "a2")]]
    assert sorted(path.name for path in (tmp_path / "work").rglob("*")) == ["a1", "a2", "kept"]


@pytest.mark.parametrize(("how", "words"), [("ENOSPC", "No space left on device"), ("EACCES", "Permission denied")])
def test_an_error_of_the_disk_comes_at_the_planned_occurrence(tmp_path, how, words):
    code, said, _ = disturbed(tmp_path, how, ["open", "a#", "small.py:8"], 3)
    assert code == 1 and said.endswith(f"{words}: '{tmp_path / 'work' / 'a3'}'\n")


def test_on_a_full_disk_files_are_made_but_not_written(tmp_path):
    code, said, _ = disturbed(tmp_path, "full", ["open", "a#", "small.py:8"], 2)
    assert code == 1 and said.endswith("File too large\n")
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "work").rglob("a*")}
    assert sizes == {"a1": 100, "a2": fault_injection.MOST_BYTES}


JOB = """
import json, signal, sys
sys.path.insert(0, sys.argv[1])
from fault_injection import Job, Plan, watch
watch(Plan(**json.loads(sys.argv[2])))
for cases, number in ((1, 0), (-1, 0), (900, signal.SIGTERM)):
    job = Job(["python", "-m", "brats_unet", "phantom", f"cases={cases}", "grid=[24,24,16]", "spacing_mm=[10,10,10]"], {})
    job.send_signal(number)
    print(job.wait())
open("end.txt", "w").close()
"""


def test_a_job_of_crossval_is_not_disturbed_and_its_signals_and_exit_codes_are_those_of_a_process(tmp_path):
    (work := tmp_path / "work").mkdir()
    plan = {"folder": str(work), "log": str(tmp_path / "log")}
    done = subprocess.run(
        [sys.executable, "-c", JOB, SCRIPTS, json.dumps(plan)],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, refused, stopped = map(int, done.stdout.split()[-3:])
    assert (first, refused) == (0, 2) and stopped in (75, -signal.SIGTERM)
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [event[1] for event in events] == ["end.txt"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("runs/a/.journal.jsonl.0123abcd.part", "runs/a/journal.jsonl"),
        ("P20_001/.P20_001_t1ce.nii.gz.0123abcd.part.gz", "P#_#/P#_#_SCAN.nii.gz"),
        ("cache/.P20_001-0123456789abcdef.part/foreground_WT.npy", "cache/P#_#-*/foreground_REGION.npy"),
        ("out/taste.txt", "out/taste.txt"),
    ],
)
def test_temporaries_numbers_scans_and_regions_are_one_kind_of_file(path, kind):
    assert fault_injection.kind_of(path) == kind


def write(folder, **texts):
    folder.mkdir()
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_results_that_differ_in_clocks_only_are_equal(tmp_path):
    line = '{"event": "leave_out", "step": 1, "seconds": %s}\n'
    one = write(
        tmp_path / "one",
        a_json='{"n": 1, "seconds": 1.5}',
        journal_jsonl=line % 1,
        page_md="made in 3 s with 2.5 GiB free",
        runs_csv="run,seconds,dice\na,1.5,0.5\n",
    )
    end = '{"event": "end", "state": "failed", "seconds": 1}\n'
    other = write(
        tmp_path / "other",
        a_json='{"seconds": 2, "n": 1}',
        journal_jsonl=end + line % 2,
        page_md="made in 4.5 s with 21 GiB free",
        runs_csv="run,seconds,dice\na,2,0.5\n",
    )
    assert fault_results.differences(one, other) == []


def test_what_is_new_missing_different_or_left_over_is_named(tmp_path):
    one = write(tmp_path / "one", a_json='{"n": 1}', b_csv="seconds,n\n1,1\n", new_txt="")
    other = write(tmp_path / "other", a_json='{"n": 2}', b_csv="seconds,n\n1,2\n", old_txt="")
    (one / ".a.json.0123abcd.part").touch()
    assert fault_results.differences(one, other) == [
        ".a.json.0123abcd.part is a temporary that was left",
        "new.txt is new",
        "old.txt is missing",
        "a.json differs",
        "b.csv differs",
    ]


def test_a_cache_that_was_deleted_need_not_be_whole(tmp_path):
    one, other = write(tmp_path / "one", a_json="{}"), write(tmp_path / "other", a_json="{}")
    write(other / "cache", b_json="{}")
    assert fault_results.differences(one, other) == ["cache/b.json is missing"]
    assert fault_results.differences(one, other, cache=False) == []


@pytest.mark.parametrize(
    ("how", "code", "words", "fault"),
    [
        ("kill", -9, "", ""),
        ("kill", 2, "error: no", "it ended with 2: error: no"),
        ("ENOSPC", 2, "error: runs/a/x.json: cannot be written (No space left on device).", ""),
        (
            "ENOSPC",
            2,
            "error: No space left on device.",
            "it does not name out/x.json: error: No space left on device.",
        ),
        ("ENOSPC", 2, "nothing to see", "it ended with 2 and 0 sentences: nothing to see"),
        ("ENOSPC", 0, "all well", ""),
        ("EACCES", 99, "Traceback (most recent call last)\nOSError", "it printed a traceback: OSError"),
        ("full", None, "", "it hung"),
        ("full", 2, "error: runs/a/journal.jsonl: cannot be written (File too large).", ""),
        ("full", 2, "error: File too large.", "it does not name out/x.json: error: File too large."),
        ("SIGTERM", 75, "Stopped.", ""),
        ("SIGINT", 2, "error: x", "it ended with 2: error: x"),
    ],
)
def test_a_disturbed_command_ends_with_a_sentence_that_names_the_file(how, code, words, fault):
    assert fault_results.fault_of_end(how, Answer(code, words), "out/.x.json.0123abcd.part", 0) == fault


def test_every_event_is_tried_with_a_kill_and_the_errors_in_turn():
    events = {Event("open", f"{n}.txt", "x.py:1"): n + 1 for n in range(3)}
    tries = faults.tries_of("fuse", events, 0, every=False)
    assert [one.how for one in tries if one.event] == ["kill", "ENOSPC", "kill", "EACCES", "kill", "full"]
    assert all(1 <= one.nth <= events[one.event] for one in tries if one.event)
    assert tries == faults.tries_of("fuse", events, 0, every=False)
    assert (
        len({one.name for one in faults.tries_of("train", events, 0, every=True)}) == 1 + 3 * 4 + faults.RANDOM_SIGNALS
    )


@pytest.fixture
def small_phantom(monkeypatch):
    """A phantom command that takes a moment, and a server of commands without TensorFlow."""
    arguments = ("phantom", "output=phantoms", "cases=1", "grid=[24,24,16]", "spacing_mm=[10,10,10]", "workers=1")
    monkeypatch.setitem(fault_commands.COMMANDS, "phantom", fault_commands.Command(arguments))
    monkeypatch.setattr(fault_place, "MODULES", ["brats_unet.commands.phantom", "brats_unet.cli.hydra"])
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS.parent))


def test_phantoms_are_whole_after_a_kill_and_after_an_error_and_a_resumed_call_tries_the_rest(
    small_phantom, tmp_path, monkeypatch, capsys
):
    told = ["faults.py", "--commands", "phantom", "--folder", str(tmp_path), "--only", "os.rename", "name_mapping.csv"]
    monkeypatch.setattr(sys, "argv", told)
    assert faults.main() == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("| 2 | 1 | 0 | 1 | 0 | 0 | 0 | 0 |")
    tries = (tmp_path / "tries.jsonl").read_text()
    assert [json.loads(line)[1] for line in tries.splitlines()] == ["killed", "refused"]
    monkeypatch.setattr(sys, "argv", [*told, "--resume"])
    assert faults.main() == 0
    assert (tmp_path / "tries.jsonl").read_text() == tries


class Pretence:
    """A place in which each command answers as told and writes a file."""

    def __init__(self, folder, answers, texts):
        self.work, self.log, self.answers, self.texts = folder / "work", folder / "log", answers, texts
        expected = write(folder / "usual", a_txt="right")
        self.known = fault_place.Usual(expected, 0, 1.0, {})

    def usual(self, name):
        return self.known

    def prepare(self, name):
        self.work.mkdir(parents=True)

    def logged(self):
        return []

    def run(self, arguments, plan=None, after=None):
        (self.work / "a.txt").write_text(self.texts.pop(0))
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("answers", "texts", "found"),
    [
        ([Answer(0, ""), Answer(0, "")], ["right", "right"], ("went on", "")),
        ([Answer(None, ""), Answer(0, "")], ["right", "right"], ("fault", "it hung")),
        ([Answer(0, ""), Answer(0, "")], ["wrong", "right"], ("fault", "it ended with 0, but a.txt differs")),
        ([Answer(75, ""), Answer(0, "")], ["half", "wrong"], ("fault", "run again, a.txt differs")),
        ([Answer(75, ""), Answer(2, "error: a")], ["half", "half"], ("fault", "run again, it ended with 2: error: a")),
        ([Answer(0, ""), Answer(2, "Add overwrite=true")], ["right", "right"], ("went on", "")),
    ],
)
def test_a_hang_a_refusal_and_results_that_differ_are_faults(tmp_path, answers, texts, found):
    outcome, words = faults.tried(faults.Try("fuse", "SIGTERM"), Pretence(tmp_path, answers, texts))
    assert (outcome, words.splitlines()[1]) == found

"""The command line as a newcomer meets it: help, typos, odd values, several jobs."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from brats_unet import job_report
from brats_unet.cli import arguments, completion, implied, sweep, sweep_table
from brats_unet.cli import main as cli
from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.errors import EXIT_CODES, MachineError, Stopped
from brats_unet.json_files import write_json
from brats_unet.run import Run
from brats_unet.stopping import SIGNALS


def run(*arguments):
    """A fresh process, as a user starts it."""
    return subprocess.run(
        [sys.executable, "-m", "brats_unet", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


# Help


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command_and_a_first_step(arguments, capsys):
    assert cli.main(arguments) == 0
    text = capsys.readouterr().out
    assert all(f"  {name}" in text for name in COMMANDS)
    assert "brats-unet train\n" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_every_setting_and_three_examples(command, capsys):
    assert cli.main([command, "--help"]) == 0
    text = capsys.readouterr().out
    known = [key for key, kind in Conf(command).types.items() if getattr(kind, "__origin__", None) is not dict]
    assert [key for key in known if f"  {key}=" not in text] == []
    assert text.count(f"\n  brats-unet {command}") == 4  # the usage line and three examples


def test_help_shows_the_values_of_the_experiment_that_is_asked_for(capsys):
    cli.main(["train", "--help"])
    assert "steps=1500 " in capsys.readouterr().out
    cli.main(["train", "experiment=seed2d", "--help"])
    assert "sampling.slices=[22, 122]" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["trian"], ["train", "data.rot=/x"]])
def test_help_and_typos_import_neither_hydra_nor_tensorflow_nor_rich(arguments):
    code = (
        "import sys; from brats_unet.cli.main import main; main(sys.argv[1:]); "
        "sys.exit(any(m in sys.modules for m in ('hydra', 'omegaconf', 'tensorflow', 'keras', 'rich', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False).returncode == 0


def test_help_starts_by_importing_a_few_modules_of_ours_and_no_heavy_one_of_others():
    code = (
        "import sys; from brats_unet.cli.main import main; main(['--help']); "
        "ours = [m for m in sys.modules if m.startswith('brats_unet.') and not m.startswith('brats_unet.cli')]; "
        "print('\\n'.join(sorted(ours)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lowest = {
        "binding",
        "errors",
        "files",
        "hand_written",
        "hardware",
        "job_report",
        "parts",
        "plugins",
        "safe_text",
        "settings",
        "spelling",
    }
    lowest |= {"stopping", "training", "training.rules"}  # numbers only
    assert {name.removeprefix("brats_unet.") for name in done.stderr.split()} <= lowest


def test_version_is_printed(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("brats-unet 0.")


# Refusals: one sentence, exit 2, nothing made

REFUSALS = {
    "trian": "There is no command trian. Did you mean train?",
    "data=brats": "A command comes first: brats-unet train data=brats.",
    "train data.rot=/x": "There is no setting data.rot. Did you mean data.root?",
    "train root=/x": "There is no setting root. Did you mean data.root?",
    "train fold=1": "There is no setting fold. Did you mean data.fold?",
    "train sampling.zz=3": "There is no setting sampling.zz. Known: sampling.accumulate, sampling.batch, sampling.foreground,",
    "train zzzz=1": "There is no setting zzzz. `brats-unet train --help` lists them all.",
    "predict data.root=/x": "There is no setting data.root in `brats-unet predict`.",
    "train experiment=quik": "There is no experiment=quik. Did you mean quick?",
    "train -m experiment=quick,unt3d": "There is no experiment=unt3d. Did you mean unet3d?",
    "train model@model=unet4d": "There is no model=unet4d. Did you mean unet",
    "train +data.rot=/x": "There is no setting data.rot. Did you mean data.root?",
    "train ++data.rot=/x": "There is no setting data.rot. Did you mean data.root?",
    "train ~data.rot": "There is no setting data.rot. Did you mean data.root?",
    "train +debug=fast": "There is no setting debug.",
    "train model=unet2d,unet3d": "model=unet2d,unet3d names several. Add -m",
    "train data.fold=0,1": "data.fold=0,1 gives several values. Add -m to run each of them, or write data.fold=[0,1]",
    "train model.featurs=[8]": "Did you mean model.features? An option that its YAML file leaves out is given with a plus",
    "train optimizer.momentum=0": "optimizer=adam has no setting optimizer.momentum; optimizer=sgd has one.",
    "train /data/scans": "Expected key=value, but found /data/scans. Did you mean data.root=/data/scans?",
    "predict /scans/a": "/scans/a: there is no such file or folder. There is no folder /scans either.",
    "evaluate runs/x": "runs/x: there is no such file or folder. There is no folder runs either.",
    "train brats": "Did you mean data=brats?",
    "train data.root= /x": "There is a space after data.root= Write data.root=/x as one word.",
    "train data.root =/x": "There is a space after data.root. Write data.root=/x as one word.",
    "train --data.root=/x": "Settings are written without dashes: data.root=/x",
    "train --mulitrun": "There is no option --mulitrun. Did you mean --multirun?",
    "train --cfg": "--cfg needs a value after it.",
    "train --cfg jobb": "--cfg jobb: expected --cfg job",
    "train --config-dir nowhere": "--config-dir nowhere: there is no such folder.",
    "train data.folds=five": "data.folds=five does not fit. Expected a whole number, or null.",
    "train data.modalities=flair": "data.modalities=flair does not fit. Expected a list such as [a,b].",
    "train sampling.patch=[a,b]": "sampling.patch[0]=a does not fit. Expected a whole number.",
    "train json=maybe": "json=maybe does not fit. Expected true or false.",
    "train hardware.precision=float61": "hardware.precision=float61 is not a choice. Did you mean float16?",
    "train data=brats": "`brats-unet train` needs data.root=… (folder of the scans",
    "predict input=a": "`brats-unet predict` needs run=… (run folder, folder of `crossval`, exported network or .keras file",
    "train hydra.jobb.name=1": "hydra.jobb",
}


@pytest.mark.parametrize("line", REFUSALS)
def test_a_mistake_is_answered_in_one_sentence_and_leaves_nothing(line, told, capsys, empty_folder):
    assert cli.main(line.split()) == 2
    output, error = capsys.readouterr()
    assert error.startswith("error: ") and REFUSALS[line] in error
    assert error.count("\n") == 1 and output == "" and told == []
    assert list(empty_folder.iterdir()) == []


def test_a_user_s_experiment_with_a_typo_is_refused_with_the_nearest_key(told, capsys, tmp_path):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text("# @package _global_\nstepps: 3\n")
    assert cli.main(["train", "--config-dir", "conf", "experiment=mine"]) == 2
    assert "stepps. Did you mean steps?" in capsys.readouterr().err


def test_a_user_s_yaml_that_is_broken_is_named_with_its_line(told, capsys, tmp_path):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text("steps: 3\nseed: [1\n")
    assert cli.main(["train", "--config-dir", "conf", "experiment=mine"]) == 2
    assert "mine.yaml, line 3: not valid YAML" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "seed: !!python/object/apply:os.getcwd []",
            "mine.yaml, line 2: not valid YAML: could not determine a constructor for the tag",
        ),
        ("<<: 3", "mine.yaml, line 2: not valid YAML: expected a mapping or list of mappings for merging"),
        (f"defaults:\n  - override /model: {300 * 'x'}", f"Could not find 'model/{300 * 'x'}"),
    ],
)
def test_yaml_that_holds_no_plain_values_is_refused(text, sentence, told, capsys, tmp_path):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}\n")
    assert cli.main(["train", "--config-dir", "conf", "experiment=mine"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and sentence in error and error.count("\n") == 1


LONG = 300 * "9"


@pytest.mark.parametrize("argv", [["check", f"data.root={LONG}"], ["report", f"run={LONG}"], ["evaluate", LONG]])
def test_a_path_that_is_too_long_is_refused(argv, capsys):
    assert cli.main(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {LONG}") and error.count("\n") == 1


def test_a_setting_that_stands_twice_in_a_user_s_yaml_or_plan_is_refused(told, capsys, tmp_path):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text("steps: 3\nseed: 1\nsteps: 30\n")
    assert cli.main(["train", "--config-dir", "conf", "experiment=mine"]) == 2
    assert "mine.yaml, line 3: steps stands in line 1 already.\nExpected each key once." in capsys.readouterr().err
    (tmp_path / "plan.yaml").write_text("experiment: quick\nsampling.batch: 1\nsampling.batch: 4\n")
    assert cli.main(["train", "plan=plan.yaml"]) == 2
    assert "plan.yaml, line 3: sampling.batch stands in line 2 already." in capsys.readouterr().err
    (tmp_path / "plan.yaml").write_text("- experiment\n")
    assert cli.main(["train", "plan=plan.yaml"]) == 2
    assert "found a list (experiment). Expected lines of the form `key: value`." in capsys.readouterr().err


# Values


@pytest.mark.parametrize(
    "path",
    ["/data/My Scans", "/a=b", "/a,b", "/it's", 'say "x"', "(1)", "/x{y}", "2020", "1e3", "true", "C:\\scans", "ä"],
)
def test_a_text_setting_takes_its_value_as_typed(path, told):
    assert cli.main(["train", f"data.root={path}"]) == 0
    assert told[0].data.root == path


def test_a_leading_tilde_is_the_home_folder(told, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    cli.main(["train", "data.root=~/scans"])
    assert told[0].data.root == "/home/someone/scans"


@pytest.mark.parametrize("name", ["a,b", "a b", "runs=1", "[x", "x]{y"])
def test_a_run_folder_that_exists_is_taken_as_it_stands(name, told, tmp_path):
    (tmp_path / name).mkdir()
    cli.main(["evaluate", f"run={name}"])
    assert told[0].run == name


def test_null_unsets_and_lists_numbers_and_all_are_read_as_such(told):
    line = (
        "train name=null data.fold=all data.modalities=[flair,t1ce] validation.cases=2 steps=1e3 sampling.foreground=1"
    )
    assert cli.main(line.split()) == 0
    settings = told[0]
    assert settings.name is None and settings.data.fold == "all" and settings.data.modalities == ["flair", "t1ce"]
    assert settings.validation.cases == 2 and settings.steps == 1000 and settings.sampling.foreground == 1.0


def test_a_superfluous_plus_does_no_harm_and_a_new_option_of_a_part_is_passed_on(told):
    assert cli.main(["train", "+data.fold=2", "+model.dropout=0.1"]) == 0
    assert told[0].data.fold == 2 and told[0].model["dropout"] == 0.1


def test_settings_are_plain_containers(told):
    cli.main(["train"])
    assert type(told[0].model) is dict and type(told[0].data.modalities) is list
    json.dumps(vars(told[0]), default=vars)


# Defaults that depend on the machine


@pytest.mark.parametrize("line", ["plan data.root=x", "doctor"])
def test_plan_and_doctor_take_the_experiment_of_train(line, told, monkeypatch):
    cli.main(line.split())
    monkeypatch.setattr(implied, "gpu_count", lambda: 1)
    cli.main(line.split())
    assert [settings.experiment for settings in told] == ["quick", "nnunet"]


def test_without_a_gpu_the_experiment_is_quick_and_with_one_nnunet(told, monkeypatch):
    cli.main(["train"])
    monkeypatch.setattr(implied, "gpu_count", lambda: 1)
    cli.main(["train"])
    cli.main(["train", "experiment=none"])
    assert [settings.experiment for settings in told] == ["quick", "nnunet", "none"]
    assert told[0].steps < told[1].steps == told[2].steps == 250000
    assert [s.augmentation["name"] for s in told] == ["mirror", "nnunet", "mirror"]


@pytest.mark.parametrize("gpus", [0, 1])
def test_the_experiment_of_the_lgg_data_is_lgg2d(gpus, told, monkeypatch):
    monkeypatch.setattr(implied, "gpu_count", lambda: gpus)
    for line in ("data=lgg data.root=x", "experiment=lgg2d data.root=x"):
        cli.main(["train", *line.split()])
    assert told[0] == told[1]
    settings = told[0]
    assert (settings.data.name, settings.scheme["name"], settings.minutes) == ("lgg", "lesion", 20)
    assert settings.data.preparation["spacing_mm"] is None and settings.postprocessing == {
        "largest_only": {"lesion": True}
    }
    cli.main(["train", "data=lgg", "data.root=x", "experiment=unet3d"])
    assert told[2].experiment == "unet3d"


def test_the_presets_that_follow_nnunet_let_patches_overhang(told):
    for experiment in Conf("train").choices("experiment"):
        cli.main(["train", f"experiment={experiment}"])
    # what quick does is decided by its own measurements
    after_nnunet = {"nnunet", "resenc_m", "resenc_l", "isensee2020", "kaggle_t4"}
    assert {settings.experiment for settings in told if settings.sampling.overhang} - {"quick"} == after_nnunet


def test_a_data_root_of_the_user_s_own_is_never_filled_with_phantoms(told):
    cli.main(["train", "data.root=/data/BraTS2020"])
    cli.main(["train", "data=phantom", "data.root=mine"])
    cli.main(["train"])
    assert [(s.data.name, s.data.root) for s in told] == [
        ("brats", "/data/BraTS2020"),
        ("phantom", "mine"),
        ("phantom", "phantoms"),
    ]


def test_cfg_job_prints_what_the_command_would_be_told(told, capsys):
    import yaml

    assert cli.main(["train", "--cfg", "job", "experiment=seed2d", "seed=3"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    cli.main(["train", "experiment=seed2d", "seed=3"])
    assert json.loads(json.dumps(vars(told[0]), default=vars)) == shown
    assert shown["experiment"] == "seed2d" and shown["inference"]["tile"] == [128, 128, 1]


# Several jobs


def test_a_sweep_of_trainings_ends_in_a_table_with_the_best_and_the_reasons_of_the_others(
    monkeypatch, capsys, empty_folder
):
    def child(command, variables):
        monkeypatch.setenv(job_report.VARIABLE, variables[job_report.VARIABLE])
        seed = next(word for word in command if word.startswith("seed=")).removeprefix("seed=")
        if seed == "1":
            job_report.tell(error="The loss is nan.")
            return 2
        run = Run(empty_folder / "runs" / f"seed{seed}")
        job_report.tell(run=str(run.folder))
        write_json(run.settings_file, {"steps": 9})
        run.note("validation", step=9, dice={"WT": int(seed) / 10}, seconds=1.0)
        run.note("end", state="done", at=9, seconds=5.0)
        for file in (run.model_file, run.recipe_file, run.folds_file):
            file.touch()
        return 0

    monkeypatch.setattr(sweep, "child", child)
    assert cli.main(["train", "-m", "seed=1,2,3", "data.root=/x"]) == 1
    error = capsys.readouterr().err
    assert "seed=1 failed: The loss is nan." in error and "Best: seed=3, mean Dice 0.300" in error
    assert f"Next: brats-unet evaluate {empty_folder}/runs/seed3" in error
    (table,) = (empty_folder / "runs").glob("sweep-*.csv")
    assert [line.split(",")[0] for line in table.read_text().splitlines()] == ["run", "seed=3", "seed=2", "seed=1"]


def test_a_table_that_cannot_be_written_ends_the_sweep_with_an_error_and_the_runs_stay(empty_folder, capsys):
    run = Run(empty_folder / "runs" / "a")
    write_json(run.settings_file, {"steps": 1})
    (empty_folder / "runs" / "table.csv").mkdir()
    done = sweep_table.Sweep([sweep_table.Outcome([], {"seed": "1"}, 0, {"run": str(run.folder)})])
    with pytest.raises(MachineError, match=r"table\.csv: cannot be written"):
        sweep_table.table_of(done, empty_folder / "runs" / "table.csv")
    assert "seed=1" in capsys.readouterr().err and run.settings_file.is_file()


def test_multirun_starts_one_process_a_job_and_lists_the_failed(monkeypatch, capsys, empty_folder):
    commands = []

    def child(command, variables):
        commands.append(command)
        return 2 if "data.fold=1" in command else 0

    monkeypatch.setattr(sweep, "child", child)
    assert cli.main(["train", "-m", "data.fold=0,1,2", "data.root=/a b"]) == 1
    assert [command[1:5] for command in commands] == [["-m", "brats_unet", "train", "experiment=quick"]] * 3
    assert [command[6] for command in commands] == ["data.fold=0", "data.fold=1", "data.fold=2"]
    error = capsys.readouterr().err
    assert "2 of 3 jobs done." in error
    assert "failed (exit 2): brats-unet train experiment=quick data=brats data.fold=1 'data.root=/a b'" in error
    assert list(empty_folder.iterdir()) == []


def test_multirun_jobs_that_fail_do_not_end_the_others(empty_folder):
    result = run("phantom", "-m", "cases=0,-1")
    assert result.returncode == 1
    assert "0 of 2 jobs done." in result.stderr and result.stderr.count("failed (exit 2)") == 2
    assert "Traceback" not in result.stderr
    assert list(empty_folder.iterdir()) == []


# The end of a command


def test_ctrl_c_is_answered_in_a_word_with_130(told, monkeypatch, capsys):
    def stopped(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["brats_unet.commands.check"], "main", stopped)
    assert cli.main(["check", "data.root=/x"]) == 130
    assert capsys.readouterr().err == "\nStopped.\n"


def test_the_command_s_own_exit_code_is_handed_on(told, monkeypatch):
    monkeypatch.setattr(sys.modules["brats_unet.commands.check"], "main", lambda settings: 1)
    assert cli.main(["check", "data.root=/x"]) == 1


def test_a_reader_who_leaves_early_sees_no_traceback():
    line = f"{sys.executable} -m brats_unet train --help | head -n 1"
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert result.stderr == "" and result.stdout.startswith("brats-unet train: ")


# Tab completion


def test_completion_offers_commands_groups_keys_and_choices():
    assert completion.candidates("brats-unet tr") == ["train"]
    assert completion.candidates("brats-unet train data.ro") == ["data.root="]
    assert completion.candidates("brats-unet train seed=1 experiment=q") == ["experiment=quick"]
    assert "model=" in completion.candidates("brats-unet train mod")


def test_completion_of_a_path_is_left_to_the_shell():
    assert completion.candidates("brats-unet train data.root=/t") == []


@pytest.mark.parametrize("shell", completion.SCRIPTS)
def test_completion_prints_a_script_that_the_shell_can_read(shell, capsys):
    assert cli.main(["-sc", f"install={shell}"]) == 0
    script = capsys.readouterr().out
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert "complete -F _brats_unet brats-unet" in script


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_a_flag_of_every_command(command):
    assert Conf(command).types["json"] is bool
    assert arguments.split([command, "--json", "a=b"]).arguments == ["a=b", "json=true"]


# Stopped, and machines that lack something


@pytest.mark.parametrize(("command", "code"), [("check", 130), ("train", 75)])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_clears_away_what_is_half_done(told, monkeypatch, tmp_path, capsys, number, command, code):
    def half_done(*settings):
        with tempfile.TemporaryDirectory(dir=tmp_path):
            signal.raise_signal(number)
            time.sleep(1)  # never to its end

    before = signal.getsignal(number)
    monkeypatch.setattr(sys.modules[f"brats_unet.commands.{command}"], "main", half_done)
    assert cli.main([command, "data.root=/x"]) == code
    by = {signal.SIGINT: "Ctrl-C"}.get(number, number.name)
    where = f"Stopped by {by} where nothing had to be saved; what is done is kept. Run the same command again"
    assert capsys.readouterr().err == (f"{where} to continue.\n" if command == "train" else "\nStopped.\n")
    assert list(tmp_path.iterdir()) == [] and signal.getsignal(number) == before


def test_a_second_ctrl_c_ends_a_training_with_130(told, monkeypatch, capsys):
    def saving(settings, stop):
        with stop.deferred():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sys.modules["brats_unet.commands.train"], "main", saving)
    assert cli.main(["train", "data.root=/x"]) == 130
    assert capsys.readouterr().err == "\nStopped.\n"


def test_a_training_knows_from_its_settings_how_long_a_stop_may_take(told, monkeypatch):
    limits = []
    monkeypatch.setattr(
        sys.modules["brats_unet.commands.train"], "main", lambda settings, stop: limits.append(stop.within_seconds) or 0
    )
    assert cli.main(["train", "data.root=/x"]) == 0
    assert cli.main(["train", "data.root=/x", "checkpoint.stop_seconds=null"]) == 0
    assert limits == [25, None]


def test_the_help_lists_every_exit_code(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for code, meaning in EXIT_CODES.items():
        assert f"\n  {code:<5}" in shown and meaning.split(";")[0] in " ".join(shown.split())
    assert list(EXIT_CODES) == [0, 1, 2, 75, 130]


JOB = """
import pathlib, signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: (pathlib.Path("told").touch(), sys.exit(75)))
pathlib.Path("ready").touch()
time.sleep(60)
"""


def test_a_sweep_hands_a_scheduler_s_signal_on_to_its_job(empty_folder):
    def stop():
        while not (empty_folder / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Stopped):
        sweep.child([sys.executable, "-c", JOB], {})
    assert (empty_folder / "told").exists()


@pytest.mark.parametrize("code", [75, 130])
def test_a_job_that_was_stopped_by_itself_stops_the_sweep_too(code):
    with pytest.raises(Stopped):
        sweep.child([sys.executable, "-c", f"raise SystemExit({code})"], {})


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_exit_code_of_any_other_job_is_handed_on(code):
    assert sweep.child([sys.executable, "-c", f"raise SystemExit({code})"], {}) == code


def test_after_a_stopped_job_a_sweep_starts_no_other(told, monkeypatch, capsys):
    started = []

    def stopped(command, variables):
        started.append(command)
        raise Stopped

    monkeypatch.setattr(sweep, "child", stopped)
    assert cli.main(["train", "-m", "seed=1,2,3", "data.root=/x"]) == 75
    assert len(started) == 1 and "seed=1" in " ".join(started[0])
    assert capsys.readouterr().err.endswith(
        "Stopped where nothing had to be saved; what is done is kept. Run the same command again to continue.\n"
    )


def test_without_tensorflow_training_says_what_to_install():
    code = "import sys; sys.modules['keras'] = None; from brats_unet.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "train", "experiment=quick", "data=phantom", "data.root=x", "name=x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    expected = "error: `brats-unet train` needs keras, not installed here: pip install keras.\n"
    assert (done.returncode, done.stderr) == (2, expected)

"""The laws of the house that a machine can check."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.cli.plain_paths import SETTINGS
from brats_unet.cli.search_space import is_range
from brats_unet.cli.yaml_files import read
from brats_unet.files import conf_folder

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "brats_unet"
MODULES = sorted(PACKAGE.rglob("*.py"))
EXPERIMENTS = sorted((ROOT / "conf" / "experiment").glob("*.yaml"))
# Written in pieces, so that this file does not break its own law.
FORBIDDEN_TEXT = re.compile(
    "|".join(["/wor" + "k/", "/opt/" + "py", "python" + "hosted", "py" + r"pi\.org", "npm" + "js"])
)
UNFINISHED = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"]))


def tracked_files():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listing.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def name_of(path):
    return str(path.relative_to(ROOT))


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


# Modules


def test_every_module_says_what_it_is():
    silent = [name_of(path) for path in MODULES if path.read_text().strip() and not ast.get_docstring(tree(path))]
    assert silent == []


def test_modules_are_short_or_say_why_they_are_long():
    long = [path for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 250]
    assert [
        name_of(path) for path in long if not (ast.get_docstring(tree(path)) or "").startswith("Long because")
    ] == []


def test_public_functions_and_classes_say_what_they_are():
    silent = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_no_two_modules_have_the_same_file_name():
    by_name: dict[str, list[str]] = {}
    for path in MODULES:
        if path.stem not in ("__init__", "__main__", "main"):
            by_name.setdefault(path.name, []).append(name_of(path))
    assert {name: paths for name, paths in by_name.items() if len(paths) > 1} == {}


def test_no_folder_holds_over_an_eighth_of_the_lines():
    lines: dict[str, int] = {}
    for path in MODULES:
        count = len(path.read_text(encoding="utf-8").splitlines())
        lines[name_of(path.parent)] = lines.get(name_of(path.parent), 0) + count
    most = sum(lines.values()) / 8
    assert {folder: count for folder, count in lines.items() if count > most} == {}


def test_no_file_has_a_meaningless_name():
    meaningless = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
    assert [name_of(path) for path in tracked_files() if path.stem.lower() in meaningless] == []


def test_nothing_is_left_unfinished():
    assert [name_of(path) for path in MODULES if UNFINISHED.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("hydra", {"cli/hydra.py"}),
        ("omegaconf", {"cli/hydra.py"}),
        ("nibabel", {"nifti.py"}),
        ("SimpleITK", {"sitk_files.py"}),
        ("PIL", {"tiff_slices.py", "report/page_pictures.py", "report/snapshot.py", "training/trackers.py"}),
        ("yaml", {"cli/yaml_files.py", "hand_written.py", "schemes/scheme_file.py", "assembly/tracking.py"}),
    ],
)
def test_a_package_is_imported_at_one_door(package, allowed):
    users = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if any(name.split(".")[0] == package for name in imported(path))
    }
    assert users <= allowed


def test_experimental_calls_of_tensorflow_stand_in_one_module():
    users = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr.startswith("experimental")
    }
    assert users == {"training/tf_experimental.py"}


def test_networks_losses_and_augmentation_do_not_import_tensorflow():
    paths = [
        *(PACKAGE / "models").glob("*.py"),
        *(PACKAGE / "losses").glob("*.py"),
        *(PACKAGE / "data" / "augment").glob("*.py"),
    ]
    paths = [path for path in paths if path.exists()]
    assert [name_of(p) for p in paths if any(n.split(".")[0] == "tensorflow" for n in imported(p))] == []


def test_scoring_starts_without_tensorflow_and_keras():
    names = ["metrics", "evaluation", "report"]
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for name in names
        for path in (PACKAGE / name).glob("*.py")
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The repository


def test_no_machine_path_or_registry_host_is_tracked():
    guilty = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        guilty += [f"{name_of(path)}: {match[0]}" for match in FORBIDDEN_TEXT.finditer(text)]
    assert guilty == []


def test_no_scan_and_no_large_file_is_tracked():
    files = tracked_files()
    assert [name_of(path) for path in files if path.stat().st_size > 2**20] == []
    assert [name_of(path) for path in files if path.name.lower().endswith((".nii", ".nii.gz", ".mha"))] == []


def test_every_package_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    assert set(project["tool"]["setuptools"]["packages"]) == folders | {"brats_unet.conf"}


def test_constraints_are_exact_versions_without_addresses():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split("\n")
    assert [line for line in lines if line and not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


# conf/


def test_the_settings_are_those_of_this_checkout():
    assert conf_folder() == ROOT / "conf"


def composed(line):
    request = arguments.split(shlex.split(line))
    overrides = checks.checked(request)
    return bind(COMMANDS[request.command], hydra.settings_of(request, overrides))


# plan and doctor take their groups from train, so one choice of each group is enough there.
CHOICES = [
    f"{command} {group}={choice}"
    for command in COMMANDS
    for group in Conf(command).defaults
    for choice in list(Conf(command).choices(group))[: 1 if command in ("plan", "doctor") else None]
]


NEEDED = {"fuse": " inputs=[a,b] output=o"}


@pytest.mark.parametrize("line", CHOICES)
def test_every_choice_composes_and_fits_its_dataclass(line):
    composed(
        f"{line} data.root=/scans"
        if "data" in Conf(line.split()[0]).defaults
        else f"{line}{NEEDED.get(line.split()[0], '')}"
    )


@pytest.mark.parametrize("command", ["plan", "doctor"])
def test_plan_and_doctor_have_the_groups_of_train(command):
    assert Conf(command).defaults == Conf("train").defaults


@pytest.mark.parametrize("line", ["evaluate", "predict run=r input=i output=o", "phantom"])
def test_every_command_without_groups_composes(line):
    composed(line)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_setting_says_what_it_means(command):
    conf = Conf(command)
    for group in conf.defaults:
        for choice in conf.choices(group):
            settings = conf.settings({group: [choice]})
            assert [key for key, one in settings.items() if not one.comment and not key.endswith(".name")] == []
    assert all(one.comment for one in conf.file.settings.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_choice_and_command_opens_with_one_line_that_says_what_it_is(command):
    conf = Conf(command)
    assert re.fullmatch(r"[A-Z0-9].{5,110}[.;]", conf.file.summary)
    for group in conf.defaults:
        assert all(re.fullmatch(r"[A-Z0-9].{5,110}\.", summary) for summary in conf.choices(group).values())


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_opens_with_command_time_and_a_marked_score(path):
    about = "\n".join(read(path).about)
    command = re.search(r"^Command: (brats-unet train .*)$", about, re.MULTILINE)
    score = re.search(r"^Score:\s+((?:.|\n)*?)(?:\n\n|$)", about, re.MULTILINE)
    assert command and f"experiment={path.stem}" in command[1]
    assert re.search(r"^Time:\s+\S", about, re.MULTILINE)
    assert score and re.search(r"not measured|measured \(\w+\)|published \(.+\)", score[1])


def test_phantoms_made_by_hand_are_those_that_training_would_make():
    made, trained = composed("phantom"), composed("train").data
    assert (made.output, made.cases, made.seed) == (trained.root, trained.cases, trained.seed)


# Words to the user


def commands_shown():
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "conf").rglob("*.yaml"))]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := re.match(r"(?:#\s+(?:Command: )?)?(brats-unet \w.*)$", line.strip()):
                yield re.split(r"\s{2,}|\s+#", match[1])[0]


@pytest.mark.parametrize("line", sorted(set(commands_shown())))
def test_every_command_we_show_is_one_that_works(line):
    request = arguments.split(shlex.split(line)[1:])
    assert request.command in COMMANDS
    if request.command in SETTINGS:  # its paths need not exist here
        request.arguments = [word for word in request.arguments if "=" in word]
    if any(word.startswith("sweep=") for word in request.arguments):
        request.arguments = [word for word in request.arguments if not is_range(word.partition("=")[2])]
    checks.checked(request)


def test_the_readme_s_make_targets_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"^make ([a-z-]+)", readme, re.MULTILINE))
    assert named and named <= set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))

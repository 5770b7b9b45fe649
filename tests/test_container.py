"""The container: its entry point without a network and with a read-only root, and what its recipes copy and pin.

No builder is needed: a user namespace of Linux takes the container's place.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import pytest

ROOT = Path(__file__).resolve().parents[1]
ENTRY = ROOT / "scripts" / "container" / "entry.sh"
BUILD = ROOT / "scripts" / "container" / "build.sh"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
APPTAINER = (ROOT / "scripts" / "container" / "apptainer.def").read_text()
# Make a new root of what the program needs, all read-only but /output and /tmp; then become user 1000 without rights.
# $1 is an empty folder; the next arguments are SOURCE:TARGET up to "--"; then the command.
ISOLATED = """
set -eu
root=$1; shift
mount -t tmpfs root "$root"
mkdir "$root/tmp"
mount -t tmpfs tmp "$root/tmp"
while [ "$1" != -- ]; do
  source=${1%%:*}; target=${1#*:}; shift
  if [ -L "$source" ]; then ln -s "$(readlink "$source")" "$root$target"; continue; fi
  mkdir -p "$root$target"
  mount --rbind "$source" "$root$target"
  case "$target" in /output | /dev | /proc) ;; *) mount -o remount,bind,ro "$root$target" ;; esac
done
shift
mkdir "$root/old"
cd "$root"
pivot_root . old
cd /
umount -l /old
rmdir /old
mount -o remount,ro /
cd /tmp
exec unshare --user --map-user=1000 --map-group=1000 "$@"
"""
# What the container promises, then the entry point.
PROBE = """
[ "$(id -u)" = 1000 ] || exit 91
for place in / /usr /input /model; do ! touch "$place/x" 2>/dev/null || exit 92; done
[ "$(grep -c : /proc/net/dev)" = 1 ] || exit 93
exec "$ENTRY" "$@"
"""


def program(folder, text):
    """A folder with a `brats-unet` that runs a shell script."""
    folder.mkdir(exist_ok=True)
    (folder / "brats-unet").write_text(f"#!/usr/bin/env bash\n{text}\n")
    (folder / "brats-unet").chmod(0o755)
    return folder


def entry(tmp_path, *given, **variables):
    """Exit code, the arguments of brats-unet one a line, and the message."""
    programs = program(tmp_path / "bin", 'printf "%s\\n" "$@"')
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "MODEL": str(tmp_path / "model"), **variables}
    done = subprocess.run([str(ENTRY), *given], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


def network(folder, name="prediction.json"):
    folder.mkdir(parents=True)
    (folder / name).touch()
    return folder


# The entry point


@pytest.mark.parametrize("name", ["recipe.json", "prediction.json"])
def test_without_a_command_all_cases_of_input_are_predicted(tmp_path, name):
    model = network(tmp_path / "model", name)
    expected = ["predict", f"run=['{model}']", "input=/input", "output=/output", "masks_only=true", "overwrite=true"]
    assert entry(tmp_path) == (0, expected, "")
    assert entry(tmp_path, "mirror=all", "device=cpu", INPUT="/in")[1] == [
        *("predict", f"run=['{model}']", "input=/in", "output=/output", "masks_only=true", "overwrite=true"),
        *("mirror=all", "device=cpu"),
    ]


def test_a_folder_of_networks_is_an_ensemble(tmp_path):
    folds = [network(tmp_path / "model" / name) for name in ("fold 0", "fold1")]
    (tmp_path / "model" / "notes").mkdir()
    assert entry(tmp_path)[1][1] == f"run=['{folds[0]}','{folds[1]}']"


def test_a_command_is_handed_on(tmp_path):
    assert entry(tmp_path, "evaluate", "run=/model", "data.root=/input")[1] == [
        "evaluate",
        "run=/model",
        "data.root=/input",
    ]
    assert entry(tmp_path, "--help")[1] == ["--help"]


def test_without_a_network_it_is_refused_with_the_folder(tmp_path):
    code, _, error = entry(tmp_path)
    assert code == 2 and error.startswith(f"error: {tmp_path / 'model'} holds no network. Mount a run folder or an exp")


def test_cases_are_predicted_by_a_plain_user_without_network_on_a_read_only_root(small_run, phantom_root, tmp_path):
    namespaces = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
    if not shutil.which("unshare") or not shutil.which("pivot_root"):
        pytest.skip("unshare and pivot_root are not installed")
    if subprocess.run([*namespaces, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not permit user namespaces")
    command = f'export PYTHONPATH={str(ROOT)!r}; exec {sys.executable!r} -m brats_unet "$@"'
    programs = program(tmp_path / "bin", command)
    output, root = tmp_path / "output", tmp_path / "root"
    output.mkdir()
    root.mkdir()
    places = ["/usr", "/bin", "/lib", "/lib64", "/etc", "/proc", "/dev", str(ROOT), sys.prefix, sys.base_prefix]
    places = [place for place in dict.fromkeys(places) if Path(place).exists()]
    inside = [p for p in places if any(Path(p).is_relative_to(other) for other in places if other != p)]
    mounts = [f"{place}:{place}" for place in places if place not in inside]
    mounts += [f"{phantom_root}:/input", f"{small_run.folder}:/model", f"{output}:/output", f"{programs}:/programs"]
    environment = {
        "PATH": f"/programs:{os.environ['PATH']}",
        "HOME": "/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ENTRY": str(ENTRY),
        "MODEL": "/model",
    }
    done = subprocess.run(
        [*namespaces, "bash", "-c", ISOLATED, "isolated", str(root), *mounts, "--", "bash", "-euc", PROBE, "probe"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    cases = sorted(path.name for path in phantom_root.iterdir() if path.is_dir())
    assert sorted(path.name for path in output.iterdir()) == [f"{case}.nii.gz" for case in cases]
    for case in cases:
        (flair,) = (phantom_root / case).glob(f"{case}_flair.nii*")
        mask, scan = nibabel.load(output / f"{case}.nii.gz"), nibabel.load(flair)
        assert mask.shape == scan.shape and (mask.affine == scan.affine).all()
    assert f"{len(cases)} masks in /output" in done.stdout  # the log


# The recipes


def test_both_recipes_start_from_the_same_pinned_base():
    (tag,) = re.findall(r"^ARG PYTHON=(3\.\d+\.\d+-slim-\w+)$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^From: (\S+)$", APPTAINER, re.MULTILINE) == [f"python:{tag}"]
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:${PYTHON}"}


def test_both_recipes_install_the_same_packages():
    installs = [re.findall(r"pip install ([^\\\n]*[^\\\s])", text) for text in (DOCKERFILE, APPTAINER)]
    assert installs[0] == installs[1] and len(installs[0]) == 2
    assert all(line.startswith("--no-cache-dir -c constraints.txt ") for line in installs[0])
    assert (
        re.findall(r'extras="(.*?)"', DOCKERFILE)
        == re.findall(r'extras="(.*?)"', APPTAINER)
        == ["export", "export,gpu"]
    )


def test_both_recipes_copy_the_same_files_which_exist_and_which_dockerignore_lets_through():
    copied = [
        word for line in re.findall(r"^COPY ((?!--from).*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    ]
    copied = {word for word in copied if not word.startswith("--")}
    section = APPTAINER.split("%files\n")[1].split("\n\n")[0]
    assert copied == {line.split()[0] for line in section.splitlines()}
    assert all((ROOT / name).exists() for name in copied)
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[1] == "*" and {line[1:] for line in ignore if line.startswith("!")} == copied


def test_the_image_does_not_run_as_root():
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["1000:1000"]


# Building


def build(tmp_path, working=(), **variables):
    """Exit code, what the builders were told, and the message; `working` builders are installed and answer."""
    programs = tmp_path / "builders"
    programs.mkdir()
    for name in ("docker", "podman", "apptainer"):
        if name in working or name != "apptainer":
            text = f'echo "{name} $*" >>"$TOLD"; case "$*" in *"--file -"*) cat >>"$TOLD" ;; esac'
            (programs / name).write_text(f"#!/usr/bin/env bash\n{text}\nexit {0 if name in working else 1}\n")
            (programs / name).chmod(0o755)
    told = tmp_path / "told"
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "TOLD": str(told), **variables}
    done = subprocess.run([str(BUILD)], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, told.read_text() if told.exists() else "", done.stderr


def test_the_first_builder_that_answers_builds_the_image(tmp_path):
    code, told, _ = build(tmp_path, ["podman"], DEVICE="gpu")
    assert code == 0
    assert told.splitlines()[1:] == ["podman info", "podman build --build-arg DEVICE=gpu --tag brats-unet:gpu ."]


def test_apptainer_builds_from_its_own_recipe(tmp_path):
    code, told, _ = build(tmp_path, ["apptainer"])
    line = "apptainer build --build-arg DEVICE=cpu brats-unet-cpu.sif scripts/container/apptainer.def"
    assert (code, told.splitlines()[-1]) == (0, line)


def test_a_network_is_put_into_an_image_of_its_own(tmp_path):
    model = network(tmp_path / "net")
    code, told, _ = build(tmp_path, ["docker"], MODEL=str(model))
    assert code == 0
    assert told.splitlines()[2:] == [
        f"docker build --tag brats-unet:cpu-model --file - {model}",
        "FROM brats-unet:cpu",
        "COPY . /model",
    ]


def test_a_model_that_is_no_exported_network_is_refused(tmp_path):
    code, told, error = build(tmp_path, ["docker"], MODEL="/nowhere")
    assert (code, told) == (2, "") and "MODEL=/nowhere is not an exported network. Make one: brats-unet export" in error


def test_without_a_builder_one_sentence_says_what_is_missing(tmp_path):
    code, _, error = build(tmp_path)
    assert code == 2 and error.count("\n") == 1
    assert error == (
        "No image was built: expected docker, podman or apptainer, but found docker, whose service does not answer; "
        "podman, whose service does not answer.\n"
    )

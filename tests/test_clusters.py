"""scripts/slurm and scripts/kubernetes, as far as one machine can check them: with stand-ins for Slurm's commands."""

import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from brats_unet.cli import arguments, checks

ROOT = Path(__file__).resolve().parents[1]
SLURM = ROOT / "scripts" / "slurm"
SBATCH = sorted(SLURM.glob("*.sbatch"))
# Options that these scripts may set, and what their values look like (sbatch's manual, Slurm 24.05).
OPTIONS = {
    "job-name": r"[\w-]+",
    "array": r"\d+-\d+",
    "nodes": r"\d+",
    "ntasks-per-node": "1",  # a worker uses all GPUs of its node
    "gpus-per-node": r"\d+",
    "cpus-per-task": r"\d+",
    "mem": r"\d+G",
    "time": r"\d+:\d\d:\d\d",
    "output": r"slurm-%x-(%j|%A_%a)\.out",
    "open-mode": "append",  # a requeued job continues its log
    "requeue": None,
    "signal": r"B:USR1@\d+",
}
STAND_INS = {
    # Starts one process a node, passes USR1 to each, and ends with the highest exit code.
    "srun": """
        [ "$1" = --kill-on-bad-exit=0 ] || exit 99
        shift
        tasks=()
        for ((i = 0; i < ${SLURM_JOB_NUM_NODES:-1}; i++)); do
          SLURM_PROCID=$i "$@" &
          tasks+=($!)
        done
        trap 'kill -USR1 "${tasks[@]}"' USR1
        worst=0
        for task in "${tasks[@]}"; do
          wait "$task"; code=$?
          while [ "$code" -gt 128 ] && kill -0 "$task" 2>/dev/null; do wait "$task"; code=$?; done
          [ "$code" -gt "$worst" ] && worst=$code
        done
        exit "$worst"
    """,
    "squeue": 'echo "squeue $*" >>"$TOLD"; echo "${STATE-RUNNING}"',
    "scontrol": 'echo "scontrol $*" >>"$TOLD"; exit "${SCONTROL_CODE:-0}"',
    # Notes its settings, and ends with the code of $CODE; or waits for USR1, and then saves and ends with 75.
    "trainer": """
        { printf trainer; printf ' %q' "$@"; echo; } >"$TOLD.$SLURM_PROCID"
        [ "${CODE:-}" ] && exit "$CODE"
        trap 'sleep 0.2; echo saved >>"$TOLD.$SLURM_PROCID"; exit 75' USR1
        touch "$TOLD.ready.$SLURM_PROCID"
        while :; do sleep 0.05; done
    """,
}


@pytest.fixture
def cluster(tmp_path):
    """A function that gives the command of a job script, its environment and the stem of the files that it leaves."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in STAND_INS.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{text}")
        (programs / name).chmod(0o755)

    def job(script, *settings, **variables):
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "BRATS_UNET": str(programs / "trainer"),
            "TOLD": str(tmp_path / "told"),
            "SLURM_JOB_ID": "77",
            **variables,
        }
        return [str(SLURM / script), *settings], environment, tmp_path / "told"

    return job


def ended(command, environment):
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stderr


def settings_told(told, task=0):
    """The settings that the training of a task was started with."""
    return shlex.split(Path(f"{told}.{task}").read_text().splitlines()[0])[1:]


# Slurm


@pytest.mark.parametrize("path", SBATCH, ids=lambda path: path.name)
def test_every_directive_is_an_option_of_sbatch_and_stands_before_the_first_command(path):
    lines = path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert [line for line in lines[first:] if line.startswith("#SBATCH")] == []
    given = dict(re.fullmatch(r"#SBATCH --([\w-]+)(?:=(\S+))?", line).groups() for line in lines if "#SBATCH" in line)
    assert ("array" in given) == (path.name == "folds.sbatch")
    assert set(OPTIONS) - {"array"} == set(given) - {"array"}
    wrong = {key: value for key, value in given.items() if not re.fullmatch(OPTIONS[key] or "None", str(value))}
    assert wrong == {}


def test_one_node_trains_with_a_cache_on_its_own_disk_and_hands_on_the_exit_code(cluster):
    for code in (0, 1, 2):
        command, environment, told = cluster(
            "train.sbatch", "seed=1", "name=a b", CODE=str(code), SLURM_TMPDIR="/local"
        )
        assert ended(command, environment) == (code, "")
        assert not told.exists()  # neither squeue nor scontrol was asked
    train, seed, name, cache = settings_told(told)
    assert (train, seed, name) == ("train", "seed=1", "name=a b")
    assert re.fullmatch(r"data\.cache=/local/brats-unet-\S+", cache)
    checks.checked(arguments.split([train, seed, "name=a", cache]))  # the command line accepts them


def test_several_nodes_are_workers_unless_the_settings_say_otherwise(cluster):
    command, environment, told = cluster("train.sbatch", "data.cache=/mine", CODE="0", SLURM_JOB_NUM_NODES="3")
    assert ended(command, environment)[0] == 0
    for task in range(3):
        assert settings_told(told, task) == ["train", "data.cache=/mine", "hardware=workers"]
    command, environment, told = cluster("train.sbatch", "hardware=cpu", CODE="0", SLURM_JOB_NUM_NODES="2")
    Path(f"{told}.0").unlink()
    assert ended(command, environment)[0] == 0
    assert settings_told(told)[:2] == ["train", "hardware=cpu"] and "hardware=workers" not in settings_told(told)


def test_the_signal_before_the_time_limit_reaches_every_task_and_the_job_is_put_back(cluster):
    command, environment, told = cluster("train.sbatch", SLURM_JOB_NUM_NODES="2")
    job = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while not all(Path(f"{told}.ready.{task}").exists() for task in (0, 1)):
        assert time.monotonic() < until and job.poll() is None
        time.sleep(0.02)
    job.send_signal(signal.SIGUSR1)
    message = job.communicate(timeout=30)[1]
    assert job.returncode == 75 and "the job is back in the queue and will continue" in message
    assert [Path(f"{told}.{task}").read_text().endswith("saved\n") for task in (0, 1)] == [True, True]
    assert told.read_text() == "squeue --noheader --jobs=77 --format=%T\nscontrol requeue 77\n"


@pytest.mark.parametrize(
    ("variables", "asked", "message"),
    [
        ({"STATE": "CANCELLED"}, False, "the job is CANCELLED. Submit it again to continue."),
        ({"STATE": ""}, False, "the job is no longer in the queue. Submit it again"),
        ({"SLURM_RESTART_COUNT": "50"}, False, "after 50 restarts. Submit the job again"),
        ({"SLURM_RESTART_COUNT": "2", "REQUEUES": "2"}, False, "after 2 restarts."),
        ({"SLURM_RESTART_COUNT": "49"}, True, "back in the queue"),
        ({"SCONTROL_CODE": "1"}, True, "could not be put back into the queue. Submit it again"),
    ],
)
def test_a_job_that_was_cancelled_or_restarted_too_often_is_not_put_back(cluster, variables, asked, message):
    command, environment, told = cluster("train.sbatch", CODE="75", **variables)
    code, error = ended(command, environment)
    assert code == 75 and message in error
    assert ("scontrol requeue 77" in told.read_text()) == asked


def test_each_task_of_the_array_trains_its_fold(cluster):
    command, environment, told = cluster("folds.sbatch", "seed=1", CODE="0", SLURM_ARRAY_TASK_ID="3")
    assert ended(command, environment) == (0, "")
    assert settings_told(told)[:3] == ["train", "seed=1", "data.fold=3"]


def test_each_task_of_a_sweep_takes_its_line_and_one_without_a_line_is_refused(cluster, tmp_path):
    sweep = tmp_path / "sweep.txt"
    sweep.write_text("optimizer.rate=0.01 tag=a\n'name=b c' model.features='[4,8]'\n")
    given = {"CODE": "0", "SWEEP": str(sweep)}
    command, environment, told = cluster("folds.sbatch", "seed=1", SLURM_ARRAY_TASK_ID="1", **given)
    assert ended(command, environment) == (0, "")
    assert settings_told(told)[:4] == ["train", "seed=1", "name=b c", "model.features=[4,8]"]
    command, environment, told = cluster("folds.sbatch", SLURM_ARRAY_TASK_ID="2", **given)
    assert ended(command, environment) == (
        2,
        f"{sweep} has no line 3. Expected one line for each task: --array=0-N for N+1 lines.\n",
    )


# Kubernetes


@pytest.fixture
def manifest():
    """The Service and the Job."""
    service, job = yaml.safe_load_all((ROOT / "scripts" / "kubernetes" / "train.yaml").read_text())
    return service, job


def container_of(job):
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container


def test_names_and_numbers_of_the_service_and_the_job_agree(manifest):
    service, job = manifest
    pods = job["spec"]["template"]
    name = service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None" and pods["spec"]["subdomain"] == name
    assert service["spec"]["selector"] == pods["metadata"]["labels"] == {"job-name": job["metadata"]["name"]}
    told = {entry["name"]: entry.get("value") for entry in container_of(job)["env"]}
    assert told["SERVICE"] == name
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == int(told["WORKERS"])
    (port,) = service["spec"]["ports"]
    assert container_of(job)["ports"] == [{"containerPort": port["port"]}]


def test_a_saved_pod_is_replaced_and_a_refused_one_ends_the_job(manifest):
    rules = manifest[1]["spec"]["podFailurePolicy"]["rules"]
    by_code = {rule["onExitCodes"]["values"][0]: rule["action"] for rule in rules if "onExitCodes" in rule}
    assert by_code == {2: "FailJob", 75: "Ignore"}
    assert manifest[1]["spec"]["template"]["spec"]["restartPolicy"] == "Never"  # podFailurePolicy needs it


def test_every_mounted_volume_exists_and_the_root_is_read_only(manifest):
    spec = manifest[1]["spec"]["template"]["spec"]
    assert {mount["name"] for mount in container_of(manifest[1])["volumeMounts"]} == {
        v["name"] for v in spec["volumes"]
    }
    assert container_of(manifest[1])["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize("index", [0, 1])
def test_the_shell_part_gives_each_pod_its_tf_config(manifest, tmp_path, index):
    container = container_of(manifest[1])
    (tmp_path / "brats-unet").write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$TF_CONFIG" "$@"\n')
    (tmp_path / "brats-unet").chmod(0o755)
    environment = {entry["name"]: entry.get("value", "brats-unet") for entry in container["env"]}
    environment |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": str(index)}
    command = [*container["command"], *container["args"]]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert json.loads(printed[0]) == {
        "cluster": {"worker": ["brats-unet-0.brats-unet:2222", "brats-unet-1.brats-unet:2222"]},
        "task": {"type": "worker", "index": index},
    }
    assert printed[1:3] == ["train", "hardware=workers"]
    others = [word for word in printed[1:] if word != "hardware=workers"]
    checks.checked(arguments.split(others))  # the command line accepts them

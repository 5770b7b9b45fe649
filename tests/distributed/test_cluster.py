"""Which workers there are, from TF_CONFIG and from the variables of a Slurm step."""

import json

import pytest

from brats_unet.distributed.cluster import cluster_of, first_host, host_and_port, on_one_machine
from brats_unet.errors import MachineError, SettingsError


def tf_config(cluster, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


TWO = {"worker": ["a:2222", "b:2222"]}
STEP = {
    "SLURM_PROCID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "gpu[03-05,9],login",
    "SLURM_JOB_ID": "1000",
    "SLURM_STEP_ID": "2",
    "SLURMD_NODENAME": "gpu04",
}


def test_the_first_worker_of_tf_config_is_the_chief():
    found = cluster_of(tf_config(TWO, index=1))
    assert (found.index, found.count, found.chief, found.own) == (1, 2, "a:2222", "b:2222")
    assert found.addresses == ("a:2222", "b:2222")


def test_a_chief_of_its_own_kind_comes_before_the_workers():
    cluster = {"chief": ["c:1"], "worker": ["a:2", "b:2"]}
    assert [cluster_of(tf_config(cluster, *task)).index for task in (("chief", 0), ("worker", 0), ("worker", 1))] == [
        0,
        1,
        2,
    ]
    assert cluster_of(tf_config(cluster)).chief == "c:1"


def test_an_empty_job_does_not_count():
    assert cluster_of(tf_config({**TWO, "ps": []})).count == 2


def test_an_index_may_be_a_text_as_kubernetes_writes_it():
    assert cluster_of(tf_config(TWO, index="1")).index == 1


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"TF_CONFIG": "{"}, "TF_CONFIG='{' cannot be read. Expected JSON such as"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "cannot be read"),
        (tf_config({**TWO, "ps": ["p:1"]}), "the jobs ps, worker. Expected only chief and worker"),
        (tf_config(TWO, "evaluator"), "the task 'evaluator'"),
        (tf_config(TWO, index=2), "says worker 2, but lists 2 of that kind"),
        (tf_config({"worker": ["a"]}), "address of a worker is 'a'. Expected host:port"),
        (tf_config({"worker": ["a:99999"]}), "Expected host:port"),
        (tf_config({"worker": ["a:1", "a:1"]}), "lists an address twice: a:1, a:1. Give each worker its own port"),
    ],
)
def test_a_tf_config_that_cannot_be_used_is_refused(variables, message):
    with pytest.raises(SettingsError, match=message):
        cluster_of(variables)


def test_without_tf_config_and_slurm_both_are_named():
    with pytest.raises(MachineError, match="Neither TF_CONFIG nor a Slurm step .* Start the command with srun"):
        cluster_of({"SLURM_PROCID": "0"})  # a batch script without srun


def test_task_0_of_slurm_is_the_chief_on_the_first_node_and_a_port_of_the_job():
    found = cluster_of(STEP)
    assert (found.index, found.count, found.chief, found.own) == (0, 4, "gpu03:23002", "gpu03:23002")
    assert found.addresses == ()


def test_another_task_of_slurm_names_its_node_and_a_free_port():
    found = cluster_of({**STEP, "SLURM_PROCID": "2"})
    host, port = host_and_port(found.own)
    assert (found.index, found.chief, host) == (2, "gpu03:23002", "gpu04") and port > 1023


def test_ports_of_slurm_are_below_those_of_outgoing_connections():
    ports = [host_and_port(cluster_of({**STEP, "SLURM_JOB_ID": str(job)}).chief)[1] for job in range(0, 10**6, 9973)]
    assert min(ports) >= 15000 and max(ports) < 30000


def test_tf_config_counts_before_slurm():
    assert cluster_of({**STEP, **tf_config(TWO)}).chief == "a:2222"


@pytest.mark.parametrize(
    ("nodes", "host"),
    [("one", "one"), ("a,b", "a"), ("gpu[03-05,9],login", "gpu03"), ("r[1-2]n[07,3]", "r1n07"), ("n[5]", "n5")],
)
def test_the_first_host_of_a_list_of_nodes(nodes, host):
    assert first_host(nodes) == host


def test_workers_with_one_host_share_its_memory():
    assert [on_one_machine(("a:1", "b:1", "a:2"), index) for index in range(3)] == [2, 1, 2]
    assert on_one_machine(("",), 0) == 1


def test_an_ipv6_address_stands_in_brackets():
    assert host_and_port("[::1]:80") == ("::1", 80)

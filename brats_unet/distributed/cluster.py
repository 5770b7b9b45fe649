"""Which processes work together on one command: read from TF_CONFIG, or from the variables of a Slurm step."""

import json
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from brats_unet.errors import MachineError, SettingsError

EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST")
# Ports of Slurm steps: below the range from which Linux gives ports to outgoing connections.
FIRST_PORT, PORTS = 15000, 15000


@dataclass(frozen=True)
class Cluster:
    """The workers as one of them sees them.

    Attributes:
        index: Index of this worker; 0 is the chief.
        count: Number of workers, 1 or more.
        chief: Address of the chief, host:port.
        own: Address of this worker.
        addresses: Address of every worker, in order; () if the chief learns them from the workers, as under Slurm.
    """

    index: int
    count: int
    chief: str
    own: str
    addresses: tuple[str, ...]


def cluster_of(environment: Mapping[str, str]) -> Cluster:
    """The cluster that the environment variables describe; TF_CONFIG counts before those of Slurm.

    Raises:
        MachineError: There is neither TF_CONFIG nor a Slurm step.
        SettingsError: TF_CONFIG cannot be used.
    """
    if text := environment.get("TF_CONFIG"):
        return _from_tf_config(text)
    if all(name in environment for name in SLURM):
        return _from_slurm(environment)
    raise MachineError(
        "Neither TF_CONFIG nor a Slurm step says which workers there are. Start the command with srun, or give each "
        f"process TF_CONFIG='{EXAMPLE}' with its own index; see docs/SCALING.md."
    )


def on_one_machine(addresses: Sequence[str], index: int) -> int:
    """Number of workers on the machine of worker `index`, which share its memory; 1 or more."""
    hosts = [address.rpartition(":")[0] for address in addresses]
    return hosts.count(hosts[index])


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of host:port; an IPv6 address may stand in brackets.

    Raises:
        SettingsError: The address has another form.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise SettingsError(f"The address of a worker is {address!r}. Expected host:port, such as host0:2222.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _from_tf_config(text: str) -> Cluster:
    """Workers of TF_CONFIG: the chief if there is one, then the workers, in order."""
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        addresses = {job: [str(address) for address in jobs[job]] for job in jobs}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SettingsError(f"TF_CONFIG={text!r} cannot be read. Expected JSON such as {EXAMPLE}.") from None
    foreign = sorted(job for job in addresses if job not in ("chief", "master", "worker") and addresses[job])
    if foreign or kind not in addresses:
        raise SettingsError(
            f"TF_CONFIG has the task {kind!r} and the jobs {', '.join(sorted(addresses))}. Expected only chief and "
            f"worker: every process trains, and the chief evaluates nothing on its own."
        )
    chiefs = addresses.get("chief", []) + addresses.get("master", [])
    every = tuple(chiefs + addresses.get("worker", []))
    place = index + (len(chiefs) if kind == "worker" else 0)
    if len(chiefs) > 1 or not 0 <= index < len(addresses[kind]):
        raise SettingsError(
            f"TF_CONFIG says {kind} {index}, but lists {len(addresses[kind])} of that kind. Expected at most one "
            f"chief, and an index from 0."
        )
    for address in every:
        host_and_port(address)
    if len(set(every)) < len(every):
        raise SettingsError(f"TF_CONFIG lists an address twice: {', '.join(every)}. Give each worker its own port.")
    return Cluster(place, len(every), every[0], every[place], every)


def _from_slurm(environment: Mapping[str, str]) -> Cluster:
    """Workers of a Slurm step: task 0 is the chief, on the first node of the step and a port made of the job's number.

    The others take any free port and tell the chief, so any distribution of the tasks over the nodes will do.
    """
    index, count = int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"])
    job, step = (int(environment.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    chief = f"{first_host(environment['SLURM_STEP_NODELIST'])}:{FIRST_PORT + (job * 8 + step) % PORTS}"
    if index == 0:
        return Cluster(0, count, chief, chief, ())
    node = environment.get("SLURMD_NODENAME") or socket.gethostname()
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    return Cluster(index, count, chief, f"{node}:{port}", ())


def first_host(nodes: str) -> str:
    """The first host of Slurm's list of nodes: "gpu[03-05,9],login" gives "gpu03"."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    return re.sub(r"\[(\d+)[^\]]*\]", r"\1", first[0] if first else nodes)

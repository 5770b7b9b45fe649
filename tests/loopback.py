"""Workers that are threads of one process, with the sockets that processes have."""

import socket
from concurrent.futures import ThreadPoolExecutor

from brats_unet.distributed.cluster import Cluster
from brats_unet.distributed.meeting import meet
from brats_unet.distributed.workers import Workers
from brats_unet.errors import BratsError


def free_ports(count):
    probes = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def clusters(count, *, known=True):
    addresses = tuple(f"localhost:{port}" for port in free_ports(count))
    return [Cluster(i, count, addresses[0], addresses[i], addresses if known else ()) for i in range(count)]


def at_once(*jobs):
    """The results of functions that run at the same time; an exception is a result."""

    def result(job):
        try:
            return job()
        except BratsError as problem:
            return problem

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(result, jobs))


def met(count, deadline=20.0, *, known=True):
    """Workers that have met, and the exit codes with which they would end their processes."""
    ended = [[] for _ in range(count)]

    def one(cluster):
        addresses, lines = meet(cluster, deadline, lambda sentence: None)
        return Workers(cluster.index, addresses, lines, deadline, ended[cluster.index].append)

    return at_once(*(lambda cluster=cluster: one(cluster) for cluster in clusters(count, known=known))), ended


def left(workers):
    at_once(*(worker.leave for worker in workers))

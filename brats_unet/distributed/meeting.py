"""How workers meet: the chief listens on its port until all have come; the connections stay open.

The chief closes the listening socket before it goes on, so that TensorFlow can listen on the same port.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from brats_unet.distributed.cluster import Cluster, host_and_port
from brats_unet.errors import MachineError

LONGEST = 2**20  # bytes of the first line that is read from a stranger
FIRST_LINE_SECONDS = 5.0
GREETING = "brats-unet"


class Line:
    """One connection: a JSON document a line, in both directions."""

    def __init__(self, connection: socket.socket, silence_seconds: float) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(silence_seconds)
        self._connection = connection
        self._rest = b""
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one document; raises OSError if the connection is gone."""
        with self._lock:
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, longest: int | None = None) -> Any:
        """The next document; None at the end of the connection.

        Raises:
            TimeoutError: Nothing came for `silence_seconds`; it may be called again.
            OSError: The connection is gone.
            ValueError: What came is not JSON, or longer than `longest` bytes.
        """
        while b"\n" not in self._rest:
            if longest is not None and len(self._rest) > longest:
                raise ValueError("too long")
            if not (more := self._connection.recv(2**16)):
                return None
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\n")
        return json.loads(text)

    def wait_at_most(self, seconds: float) -> None:
        """Change how long `receive` waits."""
        self._connection.settimeout(seconds)

    def hang_up(self) -> None:
        """End the connection; a `receive` that waits in another thread returns None."""
        with suppress(OSError):  # the other end was faster
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()


def meet(
    cluster: Cluster, deadline_seconds: float, log: Callable[[str], None]
) -> tuple[tuple[str, ...], dict[int, Line]]:
    """Connect all workers to the chief.

    Args:
        cluster: The cluster as this worker sees it.
        deadline_seconds: How long the workers wait for one another.
        log: Called with a sentence for the user.

    Returns:
        The address of every worker, and the connections by the index of the other end; each waits for half the
        deadline.

    Raises:
        MachineError: A worker does not come in time, or one comes that is not expected; or the port is taken.
    """
    if cluster.count == 1:
        return (cluster.own,), {}
    limit = time.monotonic() + deadline_seconds
    if cluster.index:
        return _join(cluster, limit, deadline_seconds)
    return _wait_for_all(cluster, limit, deadline_seconds, log)


def _wait_for_all(
    cluster: Cluster, limit: float, deadline_seconds: float, log: Callable[[str], None]
) -> tuple[tuple[str, ...], dict[int, Line]]:
    lines: dict[int, Line] = {}
    told: dict[int, dict[str, Any]] = {}

    def refuse(sentence: str) -> MachineError:
        for line in lines.values():
            with suppress(OSError):
                line.send({"refused": sentence})
            line.close()
        return MachineError(sentence)

    with _listening(0, cluster.chief) as server:
        log(f"Waiting for {cluster.count - 1} more worker{'s' if cluster.count > 2 else ''} at {cluster.chief}.")
        while len(lines) < cluster.count - 1:
            server.settimeout(max(0.01, limit - time.monotonic()))
            try:
                connection, _ = server.accept()
            except TimeoutError:
                late = [i for i in range(1, cluster.count) if i not in lines]
                names = ", ".join(f"{i} ({cluster.addresses[i]})" if cluster.addresses else f"{i}" for i in late)
                raise refuse(
                    f"Worker {names} did not come to {cluster.chief} within {deadline_seconds:g} s. Start all "
                    f"{cluster.count} workers, check that they name this address and port, or raise "
                    f"hardware.deadline_seconds."
                ) from None
            line = Line(connection, FIRST_LINE_SECONDS)
            hello = _first_line(line)
            if not isinstance(hello, dict) or hello.get("program") != GREETING:
                line.close()  # a stranger, such as a port scanner
                continue
            index = hello["index"]
            lines[-1] = line
            if hello["count"] != cluster.count or tuple(hello["addresses"]) != cluster.addresses:
                raise refuse(
                    f"Worker {index} ({hello['own']}) has another list of workers: {_listed(hello['addresses'])} "
                    f"({hello['count']}); worker 0 ({cluster.chief}) has {_listed(cluster.addresses)} "
                    f"({cluster.count}). Give every worker the same list."
                )
            if index in told:
                raise refuse(
                    f"Two processes say that they are worker {index}: {told[index]['own']} and {hello['own']}. Give "
                    f"each process its own index."
                )
            if hello["problem"]:
                raise refuse(hello["problem"])
            del lines[-1]
            lines[index], told[index] = line, hello
    addresses = (cluster.own, *(told[i]["own"] for i in range(1, cluster.count)))
    for line in lines.values():
        line.send({"program": GREETING, "addresses": addresses})
        line.wait_at_most(deadline_seconds / 2)
    return addresses, lines


def _listed(addresses: Any) -> str:
    return ", ".join(addresses) or "those of Slurm"


def _first_line(line: Line) -> Any:
    """The first document of a new connection; None if it is not one."""
    try:
        return line.receive(LONGEST)
    except (OSError, ValueError):
        return None


def _listening(index: int, address: str) -> socket.socket:
    """A socket that listens on the port of a worker's address, on all interfaces."""
    _, port = host_and_port(address)
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both, backlog=128
        )
    except OSError as problem:
        raise MachineError(
            f"Worker {index} cannot listen on port {port} of {address} ({problem.strerror or problem}). Give it "
            f"another port in TF_CONFIG, or end the program that uses this one."
        ) from problem


def _join(cluster: Cluster, limit: float, deadline_seconds: float) -> tuple[tuple[str, ...], dict[int, Line]]:
    hello = {"program": GREETING, "index": cluster.index, "count": cluster.count, "own": cluster.own}
    hello |= {"addresses": cluster.addresses, "problem": None}
    try:
        _listening(cluster.index, cluster.own).close()  # TensorFlow will listen there
    except MachineError as taken:
        hello["problem"] = str(taken)
    problem = "no answer"
    while (left := limit - time.monotonic()) > 0:
        try:
            line = Line(socket.create_connection(host_and_port(cluster.chief), min(left, 10.0)), left)
        except OSError as found:  # the chief has not started yet, or its name is not known yet
            problem = str(found.strerror or found)
            time.sleep(min(0.2, left))
            continue
        try:
            line.send(hello)
            answer = line.receive()
        except (OSError, ValueError):
            answer = None
        if isinstance(answer, dict) and "refused" in answer:
            line.close()
            raise MachineError(answer["refused"])
        if isinstance(answer, dict) and answer.get("program") == GREETING:
            line.wait_at_most(deadline_seconds / 2)
            return tuple(answer["addresses"]), {0: line}
        line.close()
        problem = "what listens there is not worker 0 of this command"
        time.sleep(min(0.2, left))
    raise MachineError(
        f"Worker {cluster.index} ({cluster.own}) cannot reach worker 0 at {cluster.chief} within "
        f"{deadline_seconds:g} s: {problem}. Start worker 0, and check that every worker names its address and port."
    )

"""What the workers of one command tell one another: JSON lines over TCP, through the chief, beside TensorFlow's own.

Each worker holds one connection to the chief and sends a sign of life on it. When a worker fails, the chief tells the
others, and all of them stop with its sentence. TensorFlow may then wait inside a collective operation for ever, where
no exception reaches it, so a process that does not stop by itself is ended after a few seconds.
"""

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from brats_unet.distributed.meeting import Line
from brats_unet.errors import BratsError, LostWorkerError, SettingsError

Item = TypeVar("Item")

DEADLINE_SECONDS = 300.0  # of commands without the setting hardware.deadline_seconds
GRACE_SECONDS = 5.0  # for a process to stop by itself after another has failed
BEATS = 4  # signs of life within a deadline


class Workers:
    """One process among those that work on one command; alone by default.

    Attributes:
        index: Index of this process; 0 is the chief, which alone writes shared files.
        addresses: host:port of each worker, in order.
        deadline_seconds: How long another worker may be silent, or later than the others at the same point.
    """

    def __init__(
        self,
        index: int = 0,
        addresses: Sequence[str] = ("",),
        lines: Mapping[int, Line] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        end: Callable[[int], Any] = os._exit,
    ) -> None:
        self.index = index
        self.addresses = tuple(addresses)
        self.deadline_seconds = deadline_seconds
        self.failure: BratsError | None = None
        self._lines = dict(lines or {})
        self._received: dict[int, queue.SimpleQueue[Any]] = {peer: queue.SimpleQueue() for peer in self._lines}
        self._left: set[int] = set()
        self._silent: set[int] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._end = end
        self._threads = [threading.Thread(target=self._listen, args=(peer,), daemon=True) for peer in self._lines]
        for thread in [*self._threads, *([threading.Thread(target=self._beat, daemon=True)] if lines else [])]:
            thread.start()

    @property
    def count(self) -> int:
        """Number of workers; 1 if this process is alone."""
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Every item that is this worker's: item i is done by worker i modulo the number of workers."""
        return items[self.index :: self.count]

    def in_order(self, shares: Sequence[Sequence[Item]]) -> list[Item]:
        """The results of all items in their order, from the shares of all workers; the inverse of `share`."""
        total = sum(map(len, shares))
        return [shares[i % self.count][i // self.count] for i in range(total)]

    def gather(self, point: str, value: Any, *, patient: bool = False) -> list[Any]:
        """The values that all workers give at the same point of the program, in their order, on each of them.

        Args:
            point: Name of the point, which stands in messages.
            value: Value in plain types.
            patient: Wait as long as the others show signs of life, not only until the deadline.

        Raises:
            BratsError: A worker has failed, does not come within the deadline, or is at another point.
        """
        if self.count == 1:
            return [value]
        limit = None if patient else self.deadline_seconds
        if not self.is_chief:
            self._send(0, {"point": point, "value": value})
            return self._next(0, point, None if limit is None else 2 * limit)["values"]
        started, values = time.monotonic(), [value]
        for peer in range(1, self.count):
            left = None if limit is None else max(0.0, started + limit - time.monotonic())
            values.append(self._next(peer, point, left)["value"])
        for peer in self._lines:
            self._send(peer, {"point": point, "values": values})
        return values

    def of_chief(self, point: str, value: Any, *, patient: bool = False) -> Any:
        """The value that the chief gives at this point; see `gather`."""
        return self.gather(point, value if self.is_chief else None, patient=patient)[0]

    def decide(self, point: str, plan: Any, stop: bool) -> tuple[Any, bool]:
        """The plan of the chief, whose clock counts, and whether any worker asks to stop; see `gather`."""
        found = self.gather(point, [plan, stop])
        return found[0][0], any(wish for _, wish in found)

    def agree(self, point: str, facts: Mapping[str, Any], advice: str) -> None:
        """Refuse to go on unless these facts, in plain types, are the same on all workers.

        Raises:
            SettingsError: They differ; all workers raise the same message, which names each difference.
        """
        found = self.gather(point, dict(facts))
        differ = [
            f"{self.name(peer)} has {key} {_text(other.get(key))}, {self.name(0)} has {_text(found[0].get(key))}"
            for peer, other in enumerate(found)
            for key in sorted({*other, *found[0]})
            if other.get(key) != found[0].get(key)
        ]
        if differ:
            raise SettingsError("\n".join([f"{line}." for line in differ[:10]] + [advice]))

    def name(self, index: int) -> str:
        """A worker in messages, such as "Worker 1 (host1:2222)"."""
        return f"Worker {index} ({self.addresses[index]})"

    def fail(self, sentence: str, exit_code: int) -> None:
        """Tell the others why this worker stops."""
        for peer in self._lines:
            self._send(peer, {"failed": f"{self.name(self.index)} failed: {sentence}", "code": exit_code})

    def failure_within(self, seconds: float) -> BratsError | None:
        """The failure of a worker, for which it waits at most so long; None if there is none."""
        limit = time.monotonic() + seconds
        while self.failure is None and time.monotonic() < limit:
            time.sleep(0.05)
        return self.failure

    def leave(self) -> None:
        """Say goodbye; the chief waits for the others, whose processes need it until they end."""
        self._closing.set()
        for peer in self._lines:
            self._send(peer, {"bye": True})
        if self.is_chief:
            limit = time.monotonic() + GRACE_SECONDS
            while len(self._left) < len(self._lines) and time.monotonic() < limit:
                time.sleep(0.01)
        for line in self._lines.values():
            line.hang_up()
        for thread in self._threads:
            thread.join(GRACE_SECONDS)

    def _next(self, peer: int, point: str, limit: float | None) -> Any:
        message = None
        for _ in range(2):  # twice half the time: this process may have been suspended itself
            with suppress(queue.Empty):
                message = self._received[peer].get(timeout=limit and limit / 2)
                break
        else:
            self._fail(
                f"{self.name(peer)} is alive, but has not reached «{point}» within {self.deadline_seconds:g} s of the "
                f"others. Look at its log, or raise hardware.deadline_seconds.",
                LostWorkerError.exit_code,
            )
        if message is not None and message["point"] == point:
            return message
        if message is not None:
            self._fail(f"{self.name(peer)} is at «{message['point']}», {self.name(self.index)} at «{point}».", 2)
        assert self.failure is not None
        raise self.failure

    def _send(self, peer: int, message: Mapping[str, Any]) -> None:
        try:
            self._lines[peer].send(message)
        except OSError:
            self._lost(peer)

    def _listen(self, peer: int) -> None:
        """Read what a worker sends until it leaves or fails, then close its connection."""
        while self._handle(peer):
            pass
        self._left.add(peer)
        self._lines[peer].close()

    def _handle(self, peer: int) -> bool:
        """Handle the next message of a worker; False if there will be no more."""
        try:
            message = self._lines[peer].receive()
        except TimeoutError:
            if peer not in self._silent:  # twice half the deadline: this process may have been suspended itself
                self._silent.add(peer)
                return True
            self._fail(
                f"{self.name(peer)} has been silent for {self.deadline_seconds:g} s. Its process is stopped or its "
                f"machine cannot be reached. Start all workers again with the same command to continue.",
                LostWorkerError.exit_code,
            )
            return False
        except (OSError, ValueError):
            message = None
        self._silent.discard(peer)
        if message is None:
            self._lost(peer)
        elif "failed" in message:
            self._fail(message["failed"], message["code"])
        elif "point" in message:
            self._received[peer].put(message)
        return message is not None and "bye" not in message

    def _lost(self, peer: int) -> None:
        """A connection has ended without a goodbye."""
        if peer not in self._left and not self._closing.is_set():
            self._fail(
                f"{self.name(peer)} ended without a message, as after SIGKILL or without memory. Look at its log. "
                f"Start all workers again with the same command to continue.",
                LostWorkerError.exit_code,
            )

    def _fail(self, sentence: str, exit_code: int) -> None:
        """Stop because of this failure, the first one only, and let the others know."""
        with self._lock:
            if self.failure is not None or self._closing.is_set():
                return
            self.failure = LostWorkerError(sentence) if exit_code == LostWorkerError.exit_code else BratsError(sentence)
        if self.is_chief:
            for peer in self._lines:
                self._send(peer, {"failed": sentence, "code": exit_code})
        for received in self._received.values():
            received.put(None)
        threading.Thread(target=self._end_soon, args=(self.failure,), daemon=True).start()

    def _end_soon(self, failure: BratsError) -> None:
        """End this process if it does not stop by itself, without waiting for TensorFlow, which waits for others."""
        if not self._closing.wait(GRACE_SECONDS):
            print(f"error: {failure}", file=sys.stderr, flush=True)
            self._end(failure.exit_code)

    def _beat(self) -> None:
        while not self._closing.wait(self.deadline_seconds / BEATS / 2):
            for peer in self._lines:
                self._send(peer, {"alive": True})


def _text(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value

"""Workers that talk over loopback: each is a thread here, with the sockets that processes have."""

import socket
import threading
import time
from dataclasses import replace

import pytest

from brats_unet.distributed.cluster import Cluster
from brats_unet.distributed.meeting import meet
from brats_unet.distributed.workers import Workers
from brats_unet.errors import BratsError, LostWorkerError, MachineError, SettingsError
from tests.loopback import at_once, clusters, left, met


@pytest.fixture
def three():
    workers, _ = met(3)
    yield workers
    left(workers)


def test_a_process_alone_gathers_its_own_value_and_has_all_items():
    alone = Workers()
    assert (alone.count, alone.is_chief) == (1, True)
    assert alone.gather("a point", 5) == [5] and alone.of_chief("a point", 6) == 6
    assert alone.share([1, 2, 3]) == [1, 2, 3] and alone.in_order([[1, 2]]) == [1, 2]
    alone.agree("facts", {"a": 1}, "advice")
    alone.leave()


def test_all_workers_gather_the_values_of_all_in_their_order(three):
    found = at_once(
        *(lambda worker=worker: worker.gather("x", {"index": worker.index, "half": 0.1}) for worker in three)
    )
    assert found == [[{"index": i, "half": 0.1} for i in range(3)]] * 3


def test_the_chief_decides_and_any_worker_may_ask_to_stop(three):
    found = at_once(
        *(lambda worker=worker: worker.decide("x", [worker.index, True], worker.index == 2) for worker in three)
    )
    assert found == [([0, True], True)] * 3


@pytest.mark.parametrize("count", [0, 1, 4, 7])
def test_each_item_is_in_one_share_and_results_come_back_in_order(three, count):
    shares = [worker.share(list(range(count))) for worker in three]
    assert sorted(item for share in shares for item in share) == list(range(count))
    assert all(worker.in_order(shares) == list(range(count)) for worker in three)


def test_workers_of_slurm_learn_the_addresses_of_all_from_the_chief():
    workers, _ = met(3, known=False)
    assert len({worker.addresses for worker in workers}) == 1 and len(set(workers[0].addresses)) == 3
    left(workers)


def test_the_port_is_free_for_tensorflow_when_all_have_met(three):
    for worker in three:
        with socket.create_server(("", int(worker.addresses[worker.index].rpartition(":")[2]))):
            pass


def test_different_facts_are_refused_by_name_with_one_sentence_on_all(three):
    facts = [{"keras": "3.15.1", "numpy": "2"}, {"keras": "3.15.1", "numpy": "2"}, {"keras": "3.14.0"}]
    found = at_once(*(lambda w=w: w.agree("versions", facts[w.index], "Install the same.") for w in three))
    addresses = three[0].addresses
    assert {type(problem) for problem in found} == {SettingsError}
    assert {str(problem) for problem in found} == {
        f"Worker 2 ({addresses[2]}) has keras 3.14.0, Worker 0 ({addresses[0]}) has 3.15.1.\n"
        f"Worker 2 ({addresses[2]}) has numpy none, Worker 0 ({addresses[0]}) has 2.\nInstall the same."
    }


def failed(worker):
    worker.failure_within(20)
    return worker.failure


def test_the_sentence_of_the_one_that_fails_reaches_all(three):
    three[1].fail("BraTS_007: no t1ce volume.", 2)
    for problem in at_once(lambda: failed(three[0]), lambda: failed(three[2])):
        assert str(problem) == f"Worker 1 ({three[0].addresses[1]}) failed: BraTS_007: no t1ce volume."
        assert problem.exit_code == 2
    with pytest.raises(BratsError, match="no t1ce volume"):
        three[2].gather("step 5", None)


def test_a_process_that_waits_elsewhere_is_ended_with_that_sentence(monkeypatch, capsys):
    monkeypatch.setattr("brats_unet.distributed.workers.GRACE_SECONDS", 0.05)
    workers, ended = met(2)
    workers[0].fail("it was stopped.", 75)
    deadline = time.monotonic() + 20
    while not ended[1] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended == [[], [75]]
    assert capsys.readouterr().err == f"error: Worker 0 ({workers[0].addresses[0]}) failed: it was stopped.\n"
    left(workers)


def test_a_lost_connection_ends_the_others_with_code_75(three):
    three[2]._lines[0]._connection.shutdown(socket.SHUT_RDWR)
    for problem in at_once(lambda: failed(three[0]), lambda: failed(three[1])):
        assert isinstance(problem, LostWorkerError) and problem.exit_code == 75
        assert f"Worker 2 ({three[0].addresses[2]}) ended without a message" in str(problem)


def test_a_silent_worker_is_lost_after_the_deadline(monkeypatch):
    monkeypatch.setattr(Workers, "_beat", lambda self: None)
    workers, _ = met(2, deadline=0.3)
    problems = [str(one) for one in at_once(*(lambda w=w: failed(w) for w in workers))]
    # The first to notice leaves, which the other may see before its own deadline.
    assert any("has been silent for 0.3 s" in problem for problem in problems)
    assert all("silent for 0.3 s" in problem or "ended without a message" in problem for problem in problems)
    left(workers)


def test_signs_of_life_keep_workers_that_have_nothing_to_say_together():
    workers, _ = met(2, deadline=0.4)
    time.sleep(1.2)
    assert [worker.failure for worker in workers] == [None, None]
    left(workers)


def test_a_worker_that_does_not_reach_a_point_is_named_and_a_patient_one_waits():
    workers, _ = met(2, deadline=0.3)
    slow = threading.Timer(0.8, lambda: workers[1].gather("volumes", None, patient=True))
    slow.start()
    assert workers[0].gather("volumes", None, patient=True) == [None, None]
    slow.join()
    with pytest.raises(LostWorkerError, match=r"Worker 1 .* is alive, but has not reached «step 3» within 0.3 s"):
        workers[0].gather("step 3", None)
    left(workers)


def test_workers_at_different_points_are_refused():
    workers, _ = met(2)
    found = at_once(lambda: workers[0].gather("step 3", None), lambda: workers[1].gather("step 4", None))
    assert "Worker 1" in str(found[0]) and "is at «step 4»" in str(found[0]) and "at «step 3»" in str(found[0])
    left(workers)


def one_comes(cluster, deadline=20.0):
    return lambda: meet(cluster, deadline, lambda sentence: None)


def test_a_worker_that_does_not_come_is_named_with_its_address():
    chief, *_ = clusters(3)
    (problem,) = at_once(one_comes(chief, 0.2))
    assert isinstance(problem, MachineError)
    assert (
        f"Worker 1 ({chief.addresses[1]}), 2 ({chief.addresses[2]}) did not come to {chief.chief} within 0.2 s"
        in str(problem)
    )


def test_a_worker_without_its_chief_names_where_it_looked():
    _, other = clusters(2)
    (problem,) = at_once(one_comes(other, 0.3))
    assert f"cannot reach worker 0 at {other.chief} within 0.3 s: Connection refused" in str(problem)


def test_another_list_of_workers_is_refused_on_both():
    chief, other = clusters(2)
    wrong = Cluster(1, 2, chief.chief, other.own, (chief.chief, "localhost:1"))
    found = at_once(one_comes(chief), one_comes(wrong))
    assert str(found[0]) == str(found[1])
    assert f"Worker 1 ({other.own}) has another list of workers: {chief.chief}, localhost:1 (2)" in str(found[0])


def test_two_processes_with_one_index_are_refused():
    chief, other, third = clusters(3)
    found = at_once(one_comes(chief), one_comes(other), one_comes(replace(other, own=third.own)))
    assert "Two processes say that they are worker 1" in str(found[0])


def test_a_port_that_is_taken_is_named_on_both():
    chief, other = clusters(2)
    with socket.create_server(("", int(other.own.rpartition(":")[2]))):
        found = at_once(one_comes(chief), one_comes(other))
    assert str(found[0]) == str(found[1]) and "Worker 1 cannot listen on port" in str(found[0])


def test_a_stranger_on_the_port_is_ignored():
    chief, other = clusters(2)

    def stranger():
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("localhost", int(chief.chief.rpartition(":")[2])), 1) as line:
                    line.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    return line.recv(10)
            except OSError:
                time.sleep(0.01)
        return None

    answer, (addresses, lines), (_, others) = at_once(
        stranger, one_comes(chief), lambda: time.sleep(0.3) or one_comes(other)()
    )
    for line in (*lines.values(), *others.values()):
        line.close()
    assert answer == b"" and addresses == chief.addresses

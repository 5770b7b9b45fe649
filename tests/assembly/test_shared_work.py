"""Workers that share a cache prepare it once; what differs between them is refused by name."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from brats_unet.assembly.shared_work import agree_on_run, open_together
from brats_unet.data.folds import Split
from brats_unet.errors import SettingsError
from brats_unet.run import Run
from tests.loopback import at_once, left, met


@pytest.fixture
def two():
    workers, _ = met(2)
    yield workers
    left(workers)


def study_of(*names, held_out=(), key="abc"):
    prepared = {name: SimpleNamespace(id=name, folder=Path(f"{name}-{key}")) for name in names}
    return SimpleNamespace(prepared=prepared, split=Split(tuple(names), tuple(held_out)))


def opened(workers, caches, studies):
    """What each worker gets, and the order in which they opened the study."""
    order = []

    def job(worker):
        def open_one():
            order.append(worker.index)
            return studies[worker.index]

        return lambda: open_together(worker, caches[worker.index], open_one)

    return at_once(*(job(worker) for worker in workers)), order


def test_of_workers_that_share_a_cache_the_first_prepares_before_the_others(two, tmp_path):
    study = study_of("a", "b")
    found, order = opened(two, [tmp_path / "cache"] * 2, [study, study])
    assert found == [study, study] and order == [0, 1]
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_worker_on_another_machine_prepares_its_own_cache(two, tmp_path, monkeypatch):
    from brats_unet.assembly import shared_work

    names = iter(("here", "there"))
    monkeypatch.setattr(shared_work.socket, "gethostname", lambda: next(names))
    study = study_of("a")
    found, order = opened(two, [tmp_path / "one", tmp_path / "two"], [study, study])
    assert found == [study, study] and sorted(order) == [0, 1]


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (study_of("a", "b", key="xyz"), "has case a a-xyz, for training"),
        (study_of("a"), "has case b none"),
        (study_of("a", "b", held_out=["b"]), "has case b b-abc, held out"),
    ],
)
def test_other_cases_on_one_worker_are_refused_by_name(two, tmp_path, other, difference):
    found, _ = opened(two, [tmp_path / "cache"] * 2, [study_of("a", "b"), other])
    assert {type(problem) for problem in found} == {SettingsError}
    assert all(difference in str(problem) and "Give every worker the same scans" in str(problem) for problem in found)


def test_a_run_folder_that_one_worker_does_not_see_is_refused(two, tmp_path):
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    run.settings_file.write_text("{}")
    found = at_once(lambda: agree_on_run(two[0], run, 0), lambda: agree_on_run(two[1], Run(tmp_path / "elsewhere"), 0))
    assert all("a disk that all workers share" in str(problem) for problem in found)
    assert at_once(*(lambda worker=worker: agree_on_run(worker, run, 7) for worker in two)) == [None, None]


def test_a_process_alone_opens_its_study_at_once(tmp_path):
    from brats_unet.distributed.workers import Workers

    assert open_together(Workers(), tmp_path / "cache", lambda: "study") == "study"
    assert not (tmp_path / "cache").exists()

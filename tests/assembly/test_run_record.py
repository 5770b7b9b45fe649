"""One start of a training: its end stands in the journal and is reported to a tracker, once."""

from types import SimpleNamespace

import pytest

from brats_unet.assembly.run_record import RunSession
from brats_unet.errors import DataError, Interrupted, MachineError
from brats_unet.run import Run


def end_of(tmp_path, *, raised=None, paused=False, early=False):
    """The end in the journal, and the calls of the tracker."""
    run, calls = Run(tmp_path), []
    tracker = SimpleNamespace(start=calls.append, finish=calls.append)
    try:
        with RunSession() as session:
            session.note_end_in(run)
            session.report_to(tracker, "about")
            if raised is not None:
                raise raised
            if paused:
                session.pause()
            if early:
                session.report_end()
                assert calls[1:], "not reported before the end of the block"
    except (Interrupted, DataError) as told:
        assert told is raised
    (line,) = run.journal("end")
    return line["state"], calls


@pytest.mark.parametrize("early", [False, True])
def test_a_good_end_is_reported_once(tmp_path, early):
    assert end_of(tmp_path / "done", early=early) == ("done", ["about", "done"])
    assert end_of(tmp_path / "paused", paused=True, early=early) == ("paused", ["about", "paused"])


def test_a_stop_and_a_failure_are_reported_as_the_journal_has_them(tmp_path):
    assert end_of(tmp_path / "a", raised=Interrupted("Stopped.")) == ("stopped", ["about", "stopped"])
    assert end_of(tmp_path / "b", raised=DataError("The loss is nan.")) == ("failed", ["about", "failed"])


def test_a_full_disk_that_ended_the_training_is_told_and_not_that_its_end_cannot_be_noted(tmp_path, monkeypatch):
    def full(*told, **facts):
        raise MachineError("journal.jsonl: cannot be written.")

    monkeypatch.setattr(Run, "note", full)
    with pytest.raises(MachineError, match="best.safetensors: cannot be written"), RunSession() as session:
        session.note_end_in(Run(tmp_path))
        session.report_to(SimpleNamespace(start=str, finish=full), "about")
        raise MachineError("best.safetensors: cannot be written.")
    with pytest.raises(MachineError, match="journal.jsonl: cannot be written"), RunSession() as session:
        session.note_end_in(Run(tmp_path))

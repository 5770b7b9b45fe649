"""The cases that a run was trained with, against those of a folder: which are missing, new or changed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brats_unet.data.prepare.case_key import case_content
from brats_unet.data.prepare.content_hash import HashMemo
from brats_unet.errors import DataError, some
from brats_unet.run import Run
from brats_unet.volume import Case

CONTENTS = "contents"  # key of a run's folds.json: {case id: hash of its scans and mask}; earlier versions lack it


@dataclass(frozen=True)
class Changes:
    """Ids of cases that a folder lacks, that are new in it, and whose scans or mask are not those of the run."""

    missing: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.new or self.changed)

    def __str__(self) -> str:
        """Each kind with its number and first ids: "1 missing (a), 2 new (b, c), 1 with other content (d)"."""
        kinds = (("missing", self.missing), ("new", self.new), ("with other content", self.changed))
        return ", ".join(f"{len(ids)} {what} ({some(ids)})" for what, ids in kinds if ids)


@dataclass(frozen=True)
class RecordedCases:
    """What a run recorded of its cases. It knows them by id and content, never by the place of their folder.

    Attributes:
        run: The run folder.
        document: Its folds.json.
    """

    run: Path
    document: Mapping[str, Any]

    @property
    def train(self) -> tuple[str, ...]:
        return tuple(self.document["train"])

    @property
    def validation(self) -> tuple[str, ...]:
        return tuple(self.document["validation"])

    def refuse_other_ids(self, root: str, found: Collection[str]) -> None:
        """Raise DataError unless the cases found in `root` are those that the run trained on and held out."""
        known = {*self.train, *self.validation}
        self._refuse(root, Changes(tuple(sorted(known - set(found))), tuple(sorted(set(found) - known))))

    def refuse_other_content(self, root: str, cases: Mapping[str, Case], memo: HashMemo) -> None:
        """Raise DataError if a scan or mask in `root` is not that of the run.

        A run of an earlier version recorded the first scan of each case only, or none.
        """
        if CONTENTS in self.document:
            contents = self.document[CONTENTS]
            changed = [i for i, case in sorted(cases.items()) if case_content(case, memo) != contents.get(i)]
        else:
            subjects = {one["case"]: one["duplicates"].split() for one in self.document.get("subjects", [])}
            first = {i: next(iter(case.images.values())) for i, case in sorted(cases.items()) if subjects.get(i)}
            changed = [i for i, file in first.items() if memo.voxels(file.path, file.channel) not in subjects[i]]
        self._refuse(root, Changes(changed=tuple(changed)))

    def _refuse(self, root: str, changes: Changes) -> None:
        if changes:
            raise DataError(
                f"{root} does not hold the cases that {self.run} was trained with: {changes}. Restore them, leave out "
                f"new ones with data.leave_out=[…], or choose another name with name=…."
            )


def recorded_cases(run: Run) -> RecordedCases | None:
    """What a run recorded of its cases; None if it has not come that far.

    Raises:
        CheckpointError: The record cannot be read.
    """
    if not run.folds_file.exists():
        return None
    return RecordedCases(run.folder, run.division())

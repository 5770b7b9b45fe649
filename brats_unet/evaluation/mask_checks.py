"""What is wrong with one mask of a folder, and whether its case can be left out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from brats_unet.data.labels.decide import integers_of
from brats_unet.errors import DataError
from brats_unet.metrics.protocols import protocol_for, protocol_named
from brats_unet.scan_files import read_mask
from brats_unet.schemes.convention import Convention, numbers
from brats_unet.volume import Volume

Problem = tuple[str, str]  # the case that cannot be scored, or "" for a problem of the whole evaluation; and a sentence


@dataclass(frozen=True, eq=False)
class Mask:
    """Grid and integers of one mask file; `problem` is the error message if it cannot be read, else ""."""

    shape: tuple[int, ...] = ()
    affine: np.ndarray = field(default_factory=lambda: np.eye(4))
    integers: frozenset[int] = frozenset()
    problem: str = ""

    @cached_property
    def volume(self) -> Volume:
        """Its grid without its voxels."""
        return Volume(np.broadcast_to(np.uint8(0), self.shape), self.affine)


def inspected(path: Path) -> Mask:
    """The mask in a file, or why it cannot be read."""
    try:
        volume = read_mask(path)
    except DataError as problem:
        return Mask(problem=str(problem))
    return Mask(volume.array.shape, volume.affine, integers_of(volume.array))


def label_problem(
    case_id: str, path: Path, integers: frozenset[int], convention: Convention, side: str
) -> list[Problem]:
    """That a mask holds integers that its convention lacks, in a list; [] if it holds none.

    Args:
        case_id: Its case.
        path: Its file.
        integers: All integers in it.
        convention: What its integers mean.
        side: "references" or "predictions", for the advice.
    """
    wrong = sorted(integers - set(convention.to_label))
    if not wrong:
        return []
    sentence = (
        f"{case_id}: {path} holds label {numbers(wrong)}. The {side} follow {convention.name} ({convention.why}), "
        f"which has {numbers(convention.to_label)}. Convert the file, or set labels.{side}= or scheme=."
    )
    return [(case_id, sentence)]


def left_out(
    problems: Sequence[Problem], cases: int, protocol: str, convention: Convention | None
) -> dict[str, str] | None:
    """The cases to leave out, each with its first problem; None if the evaluation has to stop.

    It stops if the protocol leaves no case out, if a problem is of no single case, and if no case would remain.

    Args:
        problems: All problems that were found.
        cases: Number of cases with a reference.
        protocol: The setting: name of a protocol, or "auto".
        convention: That of the references, or None if it could not be decided.
    """
    if not problems:
        return {}
    if convention is None or not protocol_named(protocol_for(protocol, convention.scheme)[0]).failing_left_out:
        return None
    found: dict[str, str] = {}
    for case_id, sentence in problems:
        found.setdefault(case_id, sentence)
    return None if "" in found or len(found) == cases else found

"""Pair predictions and references whose case ids are not written alike, where only one pairing is possible."""

import re
from collections.abc import Sequence

from brats_unet.data.labels.evidence import CASE_NAMES

Tokens = tuple[str, ...]


def pair_names(references: Sequence[str], predictions: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The prediction of each reference.

    Equal ids belong together. Of the others, those that differ in separators and case only; then those of which one
    is the other with a prefix or suffix; then those with the same numbers, unless both are ids of a series of BraTS.

    Args:
        references: Case ids of the references.
        predictions: Case ids of the predictions.

    Returns:
        Id of the prediction by id of the reference, in the order of the references; those without a prediction are left
        out. And a sentence for each id that fits several others, which is left out too.
    """
    found = {name: name for name in references if name in set(predictions)}
    ambiguous: dict[str, list[str]] = {}
    for agree in (_equal, _contained, _same_numbers):
        ones = [name for name in references if name not in found]
        others = [name for name in predictions if name not in found.values()]
        fits = {one: [other for other in others if agree(one, other)] for one in ones}
        back = {other: [one for one in ones if other in fits[one]] for other in others}
        for one, candidates in fits.items():
            if len(candidates) == 1 and len(back[candidates[0]]) == 1:
                found[one] = candidates[0]
            elif candidates:
                ambiguous.setdefault(one, candidates)
    told = [
        f"{one} may belong to the predictions {', '.join(candidates[:3])}{', …' if len(candidates) > 3 else ''}."
        if len(candidates) > 1
        else f"{one} is not the only reference that the prediction {candidates[0]} may belong to."
        for one, candidates in ambiguous.items()
        if one not in found
    ]
    return {one: found[one] for one in references if one in found}, told


def tokens(name: str) -> Tokens:
    """The words and numbers of a name, in lower case: "BraTS-MET_01325-000" gives brats, met, 01325, 000."""
    return tuple(re.findall(r"[a-z0-9]+", name.lower()))


def _equal(one: str, other: str) -> bool:
    return tokens(one) == tokens(other)


def _contained(one: str, other: str) -> bool:
    """Whether the tokens of one name stand in the other, one after another; at least one of them is a number."""
    short, long = sorted((tokens(one), tokens(other)), key=len)
    places = range(len(long) - len(short) + 1)
    return any(word.isdigit() for word in short) and any(long[i : i + len(short)] == short for i in places)


def _same_numbers(one: str, other: str) -> bool:
    numbers = tuple(word for word in tokens(one) if word.isdigit())
    both_of_brats = all(any(pattern.fullmatch(name) for pattern, _ in CASE_NAMES) for name in (one, other))
    return bool(numbers) and not both_of_brats and numbers == tuple(w for w in tokens(other) if w.isdigit())

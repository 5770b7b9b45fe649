"""A scheme in words: what it segments, its regions and its labels, for tables, page and model card."""

from collections.abc import Sequence

from brats_unet.evaluation.trivial import ALL_BACKGROUND, MEAN_SHAPE
from brats_unet.schemes.scheme import Scheme


def target(scheme: Scheme) -> str:
    """What is segmented, as a noun: "tumour" if a region is one, else the only scored region, else "region"."""
    if any("tumour" in region.words.lower() or "tumor" in region.words.lower() for region in scheme.regions.values()):
        return "tumour"
    return scheme.regions[scheme.scored[0]].words if len(scheme.scored) == 1 else "region"


def predictors(scheme: Scheme) -> dict[str, str]:
    """The trivial predictors, which ignore the scans, in words."""
    return {ALL_BACKGROUND: f"no {target(scheme)} found", MEAN_SHAPE: "mean training shape"}


def region_sentences(scheme: Scheme) -> list[str]:
    """The scored regions: the labels that each unites, and which lies within which."""
    found = []
    for name in scheme.scored:
        words, labels = scheme.regions[name].words, scheme.regions[name].labels
        what = name if words == name else f"{words} ({name})"
        found.append(f"{first_upper(what)}: label{'s' if len(labels) > 1 else ''} {_and_list(labels)}.")
    return found + [f"{name} lies within {parent}." for name, parent in _parents(scheme).items()]


def label_sentences(scheme: Scheme) -> list[str]:
    """The labels in words, also those in no scored region; none if the names of the labels say all."""
    scored = {label for name in scheme.scored for label in scheme.regions[name].labels}
    if scored == set(scheme.labels) and all(name == tissue.words for name, tissue in scheme.labels.items()):
        return []
    return [
        f"{name}: {tissue.words}{'' if name in scored else ', in no scored region'}."
        for name, tissue in scheme.labels.items()
    ]


def first_upper(text: str) -> str:
    """A text with a capital first letter; the others stay, so that FLAIR does."""
    return text[:1].upper() + text[1:]


def _and_list(names: Sequence[str]) -> str:
    """Names as in a sentence: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _parents(scheme: Scheme) -> dict[str, str]:
    """By scored region, the smallest scored region that contains it, if there is one."""
    sets = {name: set(scheme.regions[name].labels) for name in scheme.scored}
    found = {}
    for name, inner in sets.items():
        around = [other for other, outer in sets.items() if inner < outer]
        if around:
            found[name] = min(around, key=lambda other: len(sets[other]))
    return found

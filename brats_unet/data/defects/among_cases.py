"""Cases unlike the other cases of a folder (scans or labels swapped, axes turned), or nearly like one of them.

Each scan is compared as a thumbnail: the box around the brain on a grid of 24 voxels along each axis, without slow
changes. Thumbnails of two patients correlate by 0.7 at most, those of one scan and its altered copy by 0.85 or more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np
from scipy import ndimage

from brats_unet.data.defects.coarse import Coarse
from brats_unet.data.defects.matching import FLIPS, NO_FLIP, Flip, flipped, unit, words_of
from brats_unet.data.readers.findings import Finding, Kind, warning
from brats_unet.geometry import bounding_box, crop
from brats_unet.modality import Modality, in_words

EDGE = 24  # voxels of a thumbnail along each axis
SMOOTH = 2.5  # voxels: changes slower than that are taken off
FEWEST_OTHERS = 5  # cases that one is compared with
FEWEST_SCANS = 3  # by which labels are told apart; T1ce alone gave 2 false alarms in 8 cases
SWAPPED = 0.03  # by which two scans must fit better when swapped
TURNED = 0.02  # by which a case must match the others better in another orientation; real cases: worse by 0.04 or more
SWAPPED_LABELS = 0.1  # interquartile ranges by which two labels must be in the wrong order
NEARLY_SAME = 0.85  # correlation of thumbnails; two patients: at most 0.7
TURNS: tuple[tuple[tuple[int, ...], Flip], ...] = tuple(product(permutations(range(3)), (NO_FLIP, *FLIPS)))

Thumbnails = Mapping[Modality, np.ndarray]


@dataclass(frozen=True, eq=False)
class Member:
    """What is kept of a case to compare it with others.

    Attributes:
        case: Case id.
        patient: Patient id.
        thumbnails: By modality, see `thumbnail`.
        labels: By integer in the file, see `mask_fit.label_means`.
    """

    case: str
    patient: str
    thumbnails: Thumbnails
    labels: Mapping[int, np.ndarray]


def thumbnail(coarse: Coarse, modality: Modality) -> np.ndarray:
    """A scan within the box around the brain, `unit`, float32, shape (24, 24, 24)."""
    box = bounding_box(coarse.brain)
    inside = crop(coarse.relative(modality), box)
    smooth = ndimage.gaussian_filter(inside, [max(0.0, n / EDGE / 2.5) for n in inside.shape])
    at = np.meshgrid(*[(np.arange(EDGE) + 0.5) * n / EDGE - 0.5 for n in inside.shape], indexing="ij")
    small = ndimage.map_coordinates(smooth, at, order=1, mode="nearest")
    return unit(small - ndimage.gaussian_filter(small, SMOOTH))


def _means_of_others(members: Sequence[Member], modality: Modality) -> dict[str, np.ndarray]:
    """By case, the mean thumbnail of all other cases with that scan; empty if they are too few."""
    own = {member.case: member.thumbnails[modality] for member in members if modality in member.thumbnails}
    if len(own) <= FEWEST_OTHERS:
        return {}
    total = np.sum(list(own.values()), axis=0)
    return {case: (total - mine) / (len(own) - 1) for case, mine in own.items()}


def swapped_scans(members: Sequence[Member]) -> list[Finding]:
    """A warning for each case in which two scans fit the other cases better when they are swapped."""
    names = list(dict.fromkeys(name for member in members for name in member.thumbnails))
    means = {name: _means_of_others(members, name) for name in names}
    found = []
    for member in members:
        worst, pair = -SWAPPED, None
        for one, other in combinations(names, 2):
            if member.case in means[one] and member.case in means[other]:
                wanted = unit(means[one][member.case] - means[other][member.case])
                fits = float(((member.thumbnails[one] - member.thumbnails[other]) * wanted).sum())
                if fits < worst:
                    worst, pair = fits, (one, other)
        if pair is not None:
            text = f"its {pair[0]} and {pair[1]} scans fit those of the other cases better when they are swapped."
            remedy = f"Check which is {in_words(pair[0])} and which {in_words(pair[1])}; rename them."
            found.append(warning(member.case, text, remedy, kind=Kind.SEQUENCES, scan=pair[0]))
    return found


def turned_cases(members: Sequence[Member]) -> list[Finding]:
    """A warning for each case that matches the others better with its axes reversed or in another order.

    Left and right may be exchanged in every comparison: a brain is symmetric.
    """
    names = list(dict.fromkeys(name for member in members for name in member.thumbnails))
    means = {name: _means_of_others(members, name) for name in names}
    found = []
    for member in members:
        known = [name for name in member.thumbnails if member.case in means[name]]
        if not known:
            continue
        matches: dict[tuple[tuple[int, ...], Flip], float] = {}
        for order, flip in TURNS:
            alike = [
                float((flipped(member.thumbnails[name].transpose(order), flip) * means[name][member.case]).sum())
                for name in known
            ]
            key = (order, (False, flip[1], flip[2]))
            matches[key] = max(matches.get(key, -1.0), float(np.mean(alike)))
        straight = matches.pop(((0, 1, 2), NO_FLIP))
        best = max(matches, key=lambda key: matches[key])
        if matches[best] > straight + TURNED:
            order, flip = best
            how = f"mirrored {words_of(flip)}" if order == (0, 1, 2) else "with its axes in another order"
            text = f"its scans match those of the other cases better {how} than as their headers declare them."
            remedy = "Correct the orientation in the headers of this case."
            found.append(warning(member.case, text, remedy, kind=Kind.ORIENTATION))
    return found


def swapped_labels(members: Sequence[Member]) -> list[Finding]:
    """A warning for each case with two labels the other way round than in the other cases, by three scans or more."""
    found = []
    for one, other in combinations(sorted({integer for member in members for integer in member.labels}), 2):
        steps = {
            member.case: member.labels[one] - member.labels[other]
            for member in members
            if one in member.labels and other in member.labels
        }
        scans = {len(step) for step in steps.values()}
        if len(scans) != 1 or min(scans) < FEWEST_SCANS or len(steps) <= FEWEST_OTHERS:
            continue
        for case, step in steps.items():
            usual = np.median([others for name, others in steps.items() if name != case], axis=0)
            length = float(np.linalg.norm(usual))
            if length > SWAPPED_LABELS and float(step @ usual) / length < -SWAPPED_LABELS:
                text = f"labels {one} and {other} of its mask look as if they were swapped, compared with other cases."
                found.append(warning(case, text, "Inspect the mask.", kind=Kind.LABELS, scan="mask"))
    return found


def nearly_same(members: Sequence[Member]) -> dict[tuple[str, str], Finding]:
    """By pair of case ids, a warning if two patients have nearly the same scan, mirrored or not."""
    best: dict[tuple[int, int], tuple[float, Modality]] = {}
    for name in dict.fromkeys(name for member in members for name in member.thumbnails):
        rows = [i for i, member in enumerate(members) if name in member.thumbnails]
        small = np.stack([members[i].thumbnails[name] for i in rows])
        flat = small.reshape(len(rows), -1)
        mirrored = small[:, ::-1].reshape(len(rows), -1)
        alike = np.maximum(flat @ flat.T, flat @ mirrored.T)
        for a, b in np.argwhere(np.triu(alike, 1) > NEARLY_SAME):
            pair, value = (rows[a], rows[b]), float(alike[a, b])
            if members[pair[0]].patient != members[pair[1]].patient and (pair not in best or value > best[pair][0]):
                best[pair] = (value, name)
    found = {}
    for (a, b), (value, name) in sorted(best.items()):
        one, other = members[a].case, members[b].case
        text = f"its {name} scan is nearly that of {other}, by its name another patient (correlation {value:.2f})."
        remedy = "If they are one patient, list one of them under data.leave_out: they may be put into different folds."
        found[one, other] = warning(one, text, remedy, kind=Kind.DUPLICATE, scan=name)
    return found

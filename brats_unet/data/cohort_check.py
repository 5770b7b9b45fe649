"""Compare the cases of a data folder with one another."""

from collections.abc import Sequence
from itertools import combinations

from brats_unet.data.defects.among_cases import nearly_same, swapped_labels, swapped_scans, turned_cases
from brats_unet.data.inspection import Inspection
from brats_unet.data.readers.findings import Finding, Kind, warning
from brats_unet.modality import Modality


def compare_cases(inspections: Sequence[Inspection]) -> list[Finding]:
    """Warnings about identical and nearly identical scans, and about cases that look unlike all others.

    What a case's own scans have shown is not said a second time.
    """
    members = [inspection.member for inspection in inspections if inspection.member is not None]
    identical = _identical_scans(inspections)
    told = {(finding.case, finding.kind) for inspection in inspections for finding in inspection.findings}
    unlike = [*swapped_scans(members), *turned_cases(members), *swapped_labels(members)]
    alike = {pair: finding for pair, finding in nearly_same(members).items() if pair not in identical}
    return [
        *identical.values(),
        *alike.values(),
        *(finding for finding in unlike if (finding.case, finding.kind) not in told),
    ]


def _identical_scans(inspections: Sequence[Inspection]) -> dict[tuple[str, str], Finding]:
    """A warning for each pair of cases with an identical scan; fold assignment compares only their first scans."""
    holders: dict[str, list[tuple[Inspection, Modality]]] = {}
    for inspection in inspections:
        for modality, digest in inspection.hashes.items():
            holders.setdefault(digest, []).append((inspection, modality))
    shared: dict[tuple[str, str], list[Modality]] = {}
    by_id = {inspection.case.id: inspection for inspection in inspections}
    for holding in holders.values():
        for (one, modality), (other, _) in combinations(holding, 2):
            if one.case.id != other.case.id:
                shared.setdefault((one.case.id, other.case.id), []).append(modality)
    found = {}
    for (one_id, other_id), modalities in sorted(shared.items()):
        one, other = by_id[one_id], by_id[other_id]
        masks = ""
        if one.labels is not None and other.labels is not None:
            masks = ", but a different mask" if one.labels != other.labels else ""
        together = one.case.patient == other.case.patient or next(iter(one.case.images)) in modalities
        fate = "They stay in one fold; list one under data.leave_out to use only the other."
        remedy = fate if together else "List one of them under data.leave_out."
        text = f"has the same {', '.join(dict.fromkeys(modalities))} as {other_id}{masks}."
        found[one_id, other_id] = warning(one_id, text, remedy, kind=Kind.DUPLICATE, scan=modalities[0])
    return found

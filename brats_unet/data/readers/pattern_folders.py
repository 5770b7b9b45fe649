"""Read folders of any names: the cases that patterns of file names find (`data=files`)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brats_unet.data.readers.file_patterns import FILES, PRESET, Match, Patterns, matches, path_text
from brats_unet.data.readers.file_presets import MASK
from brats_unet.data.readers.findings import Finding, error
from brats_unet.data.readers.naming import patient_of
from brats_unet.data.readers.tree import Tree
from brats_unet.modality import Modality
from brats_unet.spelling import suggestion
from brats_unet.volume import Case, ImageFile

SHOWN = 3  # files that a sentence names
KNOWN_KEYS = (*map(str, Modality), MASK, PRESET)


@dataclass
class PatternFolders:
    """Result of `read_pattern_folders`; the fields mean the same as in `discovery.Dataset` and `discovery.Survey`."""

    layout: str = FILES
    declared_labels: Mapping[str, int | list[int]] | None = None
    cases: list[Case] = field(default_factory=list)
    incomplete: list[Case] = field(default_factory=list)
    defects: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_pattern_folders(tree: Tree, patterns: Patterns, modalities: Sequence[Modality]) -> PatternFolders:
    """The cases of a folder by the patterns of a setting; no file is opened.

    Args:
        tree: Files of the data folder.
        patterns: Patterns of the scans and the mask. A file that the patterns of two scans take is that whose pattern
            spells out more characters.
        modalities: Requested modalities; a case that lacks one is put into `incomplete`, with a defect.
    """
    found = PatternFolders()
    taken: dict[str, list[Match]] = {str(m): matches(tree, patterns.scans[m]) for m in patterns.scans}
    masks = matches(tree, patterns.mask)
    _refuse_masks_of_scans(tree, patterns, taken, masks, found)
    _most_exact(tree, patterns, taken, found)
    for modality in modalities:
        if modality not in patterns.scans:
            rest = ",".join(m for m in modalities if m in patterns.scans)
            found.defects.append(
                error(
                    "",
                    f"{patterns.key} has no pattern for {modality}.",
                    f"Add {patterns.key}.{modality}=…, or set data.modalities=[{rest}].",
                )
            )
        elif not taken[modality]:
            found.defects.append(_nothing(tree, patterns, modality))
    for name in patterns.scans:
        if name not in modalities and name not in tuple(Modality):
            unread = f"{patterns.key}.{name} names a scan that data.modalities=[{','.join(modalities)}] lacks."
            found.defects.append(error("", unread, f"Add it there, or leave it out. {suggestion(name, KNOWN_KEYS)}"))
    if patterns.mask and not masks:
        if patterns.preset:
            found.notes.append(f"No file has the name of a mask of {patterns.preset} ({patterns.text(MASK)}).")
        else:
            found.defects.append(_nothing(tree, patterns, MASK))
    by_case, patients = _by_case({**taken, MASK: masks}, tree)
    lacking = {m for m in modalities if not taken.get(m)}  # said once, above
    for case_id, files in sorted(by_case.items()):
        if list(files) == [MASK]:
            lonely = f"a mask without scans ({files[MASK][0].file.path})."
            found.defects.append(error(case_id, lonely, "Add the scans, or remove the mask."))
            continue
        chosen = {name: _only(case_id, name, several, patterns, found) for name, several in files.items()}
        images = {m: ImageFile(chosen[m]) for m in modalities if m in chosen}
        missing = [m for m in modalities if m not in chosen]
        for modality in missing:
            if modality not in lacking:
                wanted = f"no {modality} scan. Expected a file {patterns.text(modality)}."
                found.defects.append(error(case_id, wanted, "Add it, or list the case under data.leave_out."))
        case = Case(case_id, images, chosen.get(MASK), patients.get(case_id) or patient_of(case_id))
        (found.incomplete if missing else found.cases).append(case)
    used = {match.file.path for several in (*taken.values(), masks) for match in several}
    if (found.cases or found.incomplete) and (others := [f for f in tree.files if f.path not in used]):
        first = others[0].path.name
        found.notes.append(f"{len(others)} files that no pattern takes were skipped (first: {first}).")
    return found


def _refuse_masks_of_scans(
    tree: Tree, patterns: Patterns, taken: Mapping[str, list[Match]], masks: list[Match], found: PatternFolders
) -> None:
    """A defect for each scan whose files the patterns of the mask take too."""
    of_mask = {match.file.path for match in masks}
    for name, several in taken.items():
        both = [path_text(tree, match.file) for match in several if match.file.path in of_mask]
        if both:
            found.defects.append(
                error(
                    "",
                    f"{patterns.key}.mask={patterns.text(MASK)} takes {len(both)} files that {patterns.key}.{name}="
                    f"{patterns.text(name)} takes too (first: {both[0]}).",
                    "A mask is no scan: make one of the patterns narrower.",
                )
            )


def _most_exact(tree: Tree, patterns: Patterns, taken: dict[str, list[Match]], found: PatternFolders) -> None:
    """Leave each file to the scan whose pattern spells out most; two that spell out as much are a defect."""
    claims: dict[Path, list[tuple[str, Match]]] = defaultdict(list)
    for name, several in taken.items():
        for match in several:
            claims[match.file.path].append((name, match))
    kept: dict[str, list[Match]] = {name: [] for name in taken}
    undecided: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for claim in claims.values():
        most = max(match.letters for _, match in claim)
        winners = [(name, match) for name, match in claim if match.letters == most]
        for name, match in winners:
            kept[name].append(match)
        if len(winners) > 1:
            undecided[tuple(name for name, _ in winners)].append(path_text(tree, winners[0][1].file))
    taken.update(kept)
    for names, paths in undecided.items():
        listed = " and ".join(f"{patterns.key}.{name}={patterns.text(name)}" for name in names)
        sentence = f"{listed} take the same {len(paths)} files (first: {paths[0]})."
        found.defects.append(error("", sentence, "Each file is one scan: make one of the patterns narrower."))


def _nothing(tree: Tree, patterns: Patterns, name: str) -> Finding:
    """A defect for a pattern that takes no file."""
    seen = ", ".join(path_text(tree, file).partition("/")[2] for file in tree.files[:SHOWN])
    more = ", …" if len(tree.files) > SHOWN else ""
    return error(
        "",
        f"{patterns.key}.{name}={patterns.text(name)} takes none of the {len(tree.files)} files ({seen}{more}).",
        "Correct the pattern.",
    )


def _by_case(taken: Mapping[str, list[Match]], tree: Tree) -> tuple[dict[str, dict[str, list[Match]]], dict[str, str]]:
    """The matches by case and scan, and the patient of each case whose pattern names it.

    A case without a name in its pattern is named like its folder, or like its whole path where two have one name.
    """
    folders = {m.file.folder for several in taken.values() for m in several if m.case is None and m.patient is None}
    named = [folder.resolve().name for folder in folders]
    by_case: dict[str, dict[str, list[Match]]] = defaultdict(lambda: defaultdict(list))
    patients: dict[str, str] = {}
    for name, several in taken.items():
        for match in several:
            folder = match.file.folder
            if match.case is None and match.patient is None:
                alone = named.count(folder.resolve().name) == 1
                case_id = folder.resolve().name if alone else "_".join(folder.relative_to(tree.root).parts)
            else:
                case_id = "_".join(part for part in (match.patient, match.case) if part)
            if match.patient:
                patients[case_id] = match.patient
            by_case[case_id][name].append(match)
    return by_case, patients


def _only(case_id: str, name: str, several: list[Match], patterns: Patterns, found: PatternFolders) -> Path:
    """The file of a scan in a case by the preferred pattern; two are a defect."""
    best = min(match.rank for match in several)
    files = [match for match in several if match.rank == best]
    if len(files) > 1:
        by_folder = files[0].case is None and files[0].patient is None
        remedy = (
            "If several cases lie in one folder, put {case} where their ids stand, such as "
            f"{patterns.key}.{name}='{{case}}_{name}.nii.gz'."
            if by_folder
            else f"Make {patterns.key}.{name}={patterns.text(name)} narrower."
        )
        listed = " and ".join(str(match.file.path) for match in files[:2])
        more = f" and {len(files) - 2} more" if len(files) > 2 else ""
        what = "mask" if name == MASK else f"{name} scan"
        found.defects.append(
            error(case_id, f"{len(files)} files for its {what}: {listed}{more}. Expected one.", remedy)
        )
    return files[0].file.path

"""The choice of a scheme for masks that come without one, regions that no mask shows, and labels in no region."""

import re
from collections.abc import Mapping, Sequence

from brats_unet.data.labels.evidence import candidates, declared_meaning
from brats_unet.errors import SettingsError
from brats_unet.mask_channels import codes
from brats_unet.schemes.convention import JOIN, Convention, convention_named, conventions, numbers
from brats_unet.schemes.differences import differences
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import builtin, builtin_names

POST = ("brats2023", "brats2024")  # conventions of cases that may be from after treatment
# Pattern of the case ids of a series of BraTS -> its scheme; the first pattern that fits decides.
SERIES = (
    (re.compile(r"brats-peds?-.+", re.IGNORECASE), "paediatric"),
    (re.compile(r"brats-mets?-.+", re.IGNORECASE), "metastasis"),
    (re.compile(r"brats-men-rt-.+", re.IGNORECASE), "meningioma_rt"),
    (re.compile(r"brats-men-.+", re.IGNORECASE), "meningioma"),
    (re.compile(r"brats-(ssa|goat)-.+", re.IGNORECASE), "glioma"),
)


def decide_scheme(
    layout: str,
    case_ids: Sequence[str],
    declared: Mapping[str, int | list[int]] | None,
    label_sets: Mapping[str, frozenset[int]],
    *,
    labels: str = "auto",
) -> tuple[Scheme, str]:
    """The built-in scheme of masks: adult glioma, unless the case ids, dataset.json or the integers show another one.

    Args:
        layout: Layout as in `discovery.Dataset`; "" for a folder that holds only masks.
        case_ids: Case ids; those of BraTS 2023 and later may be from after treatment.
        declared: "labels" of dataset.json, or None.
        label_sets: Set of integers in each mask, by case id.
        labels: Label convention that the user has set, or "auto"; it rules out the schemes that lack it.

    Returns:
        The scheme, and the reason in words.

    Raises:
        SettingsError: Label 4 can be enhancing tumour or a resection cavity; the message lists the choices.
    """
    glioma, post, lesion = builtin(), builtin("glioma_post"), builtin("lesion")
    held = frozenset().union(*label_sets.values())
    if layout == "lgg":
        return lesion, "the LGG MRI Segmentation data set"
    series = _scheme_of_series(case_ids) if layout not in ("msd", "nnunet") else ""
    if labels != "auto":
        if JOIN in labels:
            having = [name for name in builtin_names() if convention_named(builtin(name), labels)]
            first = next((name for name in (series, "glioma", *having) if name in having), "glioma")
            return builtin(first), f"labels={labels}"
        having = [name for name in (series, "glioma", *builtin_names()) if name and labels in builtin(name).integers]
        found = builtin(having[0]) if having else glioma
        if found.name == glioma.name and labels in post.integers and 4 in held:
            return post, f"label 4 with labels={labels}"
        return _with_cavity(found, held), f"labels={labels}"
    if codes(held):
        return builtin(series or "glioma"), "masks with channels"
    if held - {0} == {255}:
        return lesion, f"labels {numbers(held)}"
    meaning = declared_meaning(declared, glioma)
    if meaning is not None:
        named = post.labels["RC"].value in meaning.values()
        return (post, "dataset.json names a resection cavity") if named else (glioma, "label names of dataset.json")
    if declared_meaning(declared, lesion) is not None and len(declared or {}) == 2:
        return lesion, "dataset.json names one label beside the background"
    for name in builtin_names():
        if name != lesion.name and declared_meaning(declared, builtin(name)) is not None:
            return builtin(name), "label names of dataset.json"
    if series:
        return _with_cavity(builtin(series), held), f"case ids such as {min(case_ids)}"
    names, _ = candidates(layout, case_ids, glioma)
    if 4 in held and "brats2024" in names and (3 in held or names[0] in POST):
        if 3 in held and "brats2015" not in names:
            case_id = next((one for one, found in sorted(label_sets.items()) if {3, 4} <= found), min(label_sets))
            return post, f"label 4 beside 3 in cases such as {case_id}"
        earlier = "brats2015" if 3 in held else "brats2017"
        raise SettingsError(
            f"The masks hold labels {numbers(held)}, and the case ids do not show whether 4 is a resection cavity, as "
            f"in BraTS since 2024, or enhancing tumour. Set scheme=glioma_post if it is a cavity, or labels={earlier} "
            f"if it is enhancing tumour."
        )
    return glioma, f"labels {numbers(held)}" if held else "no mask was read"


def _scheme_of_series(case_ids: Sequence[str]) -> str:
    """The scheme of the series of BraTS that all case ids belong to; "" if there is none, or for adult glioma."""
    found = {next((scheme for pattern, scheme in SERIES if pattern.fullmatch(case_id)), "") for case_id in case_ids}
    return found.pop() if len(found) == 1 else ""


def _with_cavity(scheme: Scheme, held: frozenset[int]) -> Scheme:
    """The scheme of treated metastases instead of untreated ones, if a mask holds the label of the cavity."""
    return builtin("metastasis_post") if scheme.name == "metastasis" and 4 in held else scheme


def refuse_other_scheme(given: Scheme, recorded: Scheme, where: str) -> None:
    """Raise SettingsError if a given scheme does not mean what the recorded one does.

    Args:
        given: The scheme that the user set.
        recorded: That of a run.
        where: The run, for the message.
    """
    if not given.means_the_same(recorded) or given.scored != recorded.scored:
        found = differences(recorded, given, "in the run", "now")
        raise SettingsError(
            f"{where} was trained with the scheme {recorded.name}, but scheme={given.name} is set, which differs "
            f"({found}). Leave out scheme=: a run is always scored with its own."
        )


def sentences_about(
    convention: Convention,
    label_sets: Mapping[str, frozenset[int]],
    *,
    fixed: bool = False,
    voxels: Mapping[int, int] | None = None,
) -> list[str]:
    """What a user should know of the labels in masks: regions that no mask shows, and labels in no region.

    Args:
        convention: What the integers mean, and the scheme with the regions.
        label_sets: Set of integers in each mask, by case id.
        fixed: Whether the scheme is that of a run, which cannot be changed.
        voxels: Voxels of each integer in all masks, if they were counted.
    """
    found = (
        absent_sentence(convention, label_sets, fixed=fixed),
        regionless_sentence(convention, label_sets, fixed=fixed, voxels=voxels),
    )
    return [sentence for sentence in found if sentence]


def regionless_sentence(
    convention: Convention,
    label_sets: Mapping[str, frozenset[int]],
    *,
    fixed: bool = False,
    voxels: Mapping[int, int] | None = None,
) -> str:
    """That labels in the masks lie in no region, so that they count as background; "" if all lie in one."""
    integers = sorted(frozenset().union(*label_sets.values()) & set(convention.without_region))
    if not integers:
        return ""
    scheme, many = convention.scheme, len(integers) > 1
    listed = " and ".join(f"{one} ({scheme.words_of(convention.to_label[one])})" for one in integers)
    masks = sum(not sets.isdisjoint(integers) for sets in label_sets.values())
    counted = "" if voxels is None else f", {sum(voxels[one] for one in integers):,} voxels"
    better = [name for name in builtin_names() if _scores(builtin(name), convention.name, integers)]
    take = (
        f"a run with scheme={better[0]} scores" if fixed and better else f"scheme={better[0]} scores" if better else ""
    )
    return (
        f"Label{'s' if many else ''} {listed} {'lie' if many else 'lies'} in no region of the scheme {scheme.name} and "
        f"{'count' if many else 'counts'} as background (in {masks} of {len(label_sets)} masks{counted})"
        f"{f'; {take} ' + ('them' if many else 'it') if take else ''}."
    )


def _scores(scheme: Scheme, name: str, integers: Sequence[int]) -> bool:
    """Whether a scheme has a convention of this name, and a region for each of these integers."""
    convention = conventions(scheme).get(name)
    known = set() if convention is None else set(convention.to_label) - set(convention.without_region)
    return set(integers) <= known


def absent_regions(convention: Convention, label_sets: Mapping[str, frozenset[int]]) -> list[str]:
    """Names of the predicted and scored regions of which no mask holds a label; all of them if all masks are empty.

    Args:
        convention: What the integers mean, and the scheme with the regions.
        label_sets: Set of integers in each mask, by case id; without masks, no region is absent.
    """
    scheme = convention.scheme
    found = {convention.to_label.get(integer) for integers in label_sets.values() for integer in integers}
    regions = dict.fromkeys((*scheme.predicted, *scheme.scored)) if label_sets else {}
    return [region for region in regions if not found & set(scheme.values(region))]


def absent_sentence(convention: Convention, label_sets: Mapping[str, frozenset[int]], *, fixed: bool = False) -> str:
    """What a user should know if regions occur in no mask, and what to do; "" if every region occurs.

    If the scheme is `fixed`, as that of a run is, the sentence does not advise to take another one.
    """
    absent, scheme = absent_regions(convention, label_sets), convention.scheme
    if not absent:
        return ""
    held = sorted(frozenset().union(*label_sets.values()) - {0})
    listed = " and ".join(f"{name} ({scheme.regions[name].words})" for name in absent)
    masks = "the mask" if len(label_sets) == 1 else f"any of the {len(label_sets)} masks"
    if len(held) == 1 and len(scheme.labels) > 1:
        read_as = scheme.words_of(convention.to_label[held[0]])
        advice = "If it means something else, set data.labels=…."
        return (
            f"No {listed} in {masks}: the only label is {held[0]}, read as {read_as} ({convention.name}). "
            f"{advice if fixed else 'If it stands for any lesion, set scheme=lesion.'}"
        )
    others = "set data.labels=…" if fixed else "choose another scheme or labels"
    return f"No {listed} in {masks}. If there should be some, correct the masks, or {others}."

"""The choice of a scheme for masks that come without one, and the regions that no mask of a data set shows."""

from collections.abc import Mapping, Sequence

from brats_unet.data.labels.evidence import candidates, declared_meaning
from brats_unet.errors import SettingsError
from brats_unet.schemes.convention import Convention, numbers
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import builtin

POST = ("brats2023", "brats2024")  # conventions of cases that may be from after treatment


def decide_scheme(
    layout: str,
    case_ids: Sequence[str],
    declared: Mapping[str, int | list[int]] | None,
    label_sets: Mapping[str, frozenset[int]],
    *,
    labels: str = "auto",
) -> tuple[Scheme, str]:
    """The built-in scheme of masks: glioma, unless something shows another one.

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
    if labels != "auto":
        if labels in lesion.integers:
            return lesion, f"labels={labels}"
        return (
            (post, f"label 4 with labels={labels}")
            if labels in post.integers and 4 in held
            else (glioma, f"labels={labels}")
        )
    if held - {0} == {255}:
        return lesion, f"labels {numbers(held)}"
    meaning = declared_meaning(declared, glioma)
    if meaning is not None:
        named = post.labels["RC"].value in meaning.values()
        return (post, "dataset.json names a resection cavity") if named else (glioma, "label names of dataset.json")
    if declared_meaning(declared, lesion) is not None and len(declared or {}) == 2:
        return lesion, "dataset.json names one label beside the background"
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


def refuse_other_scheme(given: Scheme, recorded: Scheme, where: str) -> None:
    """Raise SettingsError if a given scheme does not mean what the recorded one does.

    Args:
        given: The scheme that the user set.
        recorded: That of a run.
        where: The run, for the message.
    """
    if not given.means_the_same(recorded) or given.scored != recorded.scored:
        raise SettingsError(
            f"{where} was trained with the scheme {_described(recorded)}, but scheme={_described(given)} is set. Leave "
            f"out scheme=: a run is always scored with its own."
        )


def _described(scheme: Scheme) -> str:
    return f"{scheme.name} (scored: {', '.join(scheme.scored)})"


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


def absent_sentence(convention: Convention, label_sets: Mapping[str, frozenset[int]]) -> str:
    """What a user should know if regions occur in no mask, and what to do; "" if every region occurs."""
    absent, scheme = absent_regions(convention, label_sets), convention.scheme
    if not absent:
        return ""
    held = sorted(frozenset().union(*label_sets.values()) - {0})
    listed = " and ".join(f"{name} ({scheme.regions[name].words})" for name in absent)
    masks = "the mask" if len(label_sets) == 1 else f"any of the {len(label_sets)} masks"
    if len(held) == 1 and len(scheme.labels) > 1:
        read_as = scheme.words_of(convention.to_label[held[0]])
        return (
            f"No {listed} in {masks}: the only label is {held[0]}, read as {read_as} ({convention.name}). If it stands "
            f"for any lesion, set scheme=lesion."
        )
    return f"No {listed} in {masks}. If there should be some, correct the masks, or choose another scheme or labels."

"""Schemes that every part of prediction must work for: nested, with a region beside them, one region, overlapping."""

from brats_unet.schemes.scheme_file import builtin, scheme_of

GLIOMA, POST, LESION = builtin("glioma"), builtin("glioma_post"), builtin("lesion")
# Every region shares a label with the next; each label lies in two regions.
FIVE = scheme_of(
    {
        "name": "five",
        "labels": dict.fromkeys("abcde"),
        "regions": {"R1": ["a", "b"], "R2": ["b", "c"], "R3": ["c", "d"], "R4": ["d", "e"], "R5": ["e", "a"]},
        "small_total": ["R2"],
    }
)
SCHEMES = {scheme.name: scheme for scheme in (GLIOMA, POST, LESION, FIVE)}

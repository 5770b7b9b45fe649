"""What differs between two schemes, in words."""

from brats_unet.errors import NAMED
from brats_unet.schemes.scheme import Scheme


def differences(one: Scheme, other: Scheme, in_one: str, in_other: str) -> str:
    """The first five labels, regions and lists of regions that differ between two schemes; "" if none does.

    Args:
        one: A scheme.
        other: Another one; the names of the schemes are not compared.
        in_one: Where the first stands, such as "in the run".
        in_other: Where the other stands, such as "now".

    Returns:
        The end of a sentence, such as "label B is 2 in the run, 3 now; region R is missing in the run, A+B now".
    """
    before, after = one.meaning, other.meaning
    found = []
    for section, what in (("labels", "label"), ("regions", "region")):
        for name in {**before[section], **after[section]}:
            was, now = (_text(plain[section].get(name)) for plain in (before, after))
            if was != now:
                found.append(f"{what} {name} is {was} {in_one}, {now} {in_other}")
    for section in ("predicted", "classes", "scored"):
        if before[section] != after[section]:
            found.append(f"{section}: {', '.join(before[section])} {in_one}, {', '.join(after[section])} {in_other}")
    more = len(found) - NAMED
    return "; ".join(found[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def _text(value: int | list[str] | None) -> str:
    if value is None:
        return "missing"
    return "+".join(value) if isinstance(value, list) else str(value)

"""Names cut in the middle to fit into a column, so that they stay apart."""

from collections.abc import Sequence

CUT = "…"


def apart(names: Sequence[str], width: int) -> list[str]:
    """The names with at most `width` characters each; those too long keep their start and end.

    What is cut is chosen so that different names stay different, if there is such a cut; the middle is preferred.

    Args:
        names: The names, such as those of runs.
        width: Characters, 8 or more.
    """
    if all(len(name) <= width for name in names):
        return list(names)
    heads = sorted(range(width), key=lambda head: abs(2 * head - width + 1))
    for head in heads:
        cut = [_cut(name, head, width) for name in names]
        if len(set(cut)) == len(set(names)):
            return cut
    numbers = {name: f"{CUT}{index}" for index, name in enumerate(dict.fromkeys(names), 1)}  # only the middle differs
    return [name if len(name) <= width else name[: width - len(numbers[name])] + numbers[name] for name in names]


def _cut(name: str, head: int, width: int) -> str:
    tail = width - head - len(CUT)
    return name if len(name) <= width else name[:head] + CUT + (name[-tail:] if tail else "")

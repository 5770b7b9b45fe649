"""Write the tables of docs/METRICS.md anew, between their markers, from the records of the metrics.

    .venv/bin/python scripts/metrics_tables.py           rewrite the file
    .venv/bin/python scripts/metrics_tables.py --check   exit 1 if it is out of date

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from brats_unet.metrics.empty import is_undefined  # noqa: E402
from brats_unet.metrics.glossary import HD95_MEANINGS, MEANINGS, RULES, SEED_MEANINGS  # noqa: E402
from brats_unet.metrics.protocols import PROTOCOLS  # noqa: E402

DOCUMENT = ROOT / "docs" / "METRICS.md"


def scores() -> Iterator[list[str]]:
    """Every metric of a region: name, definition, unit, range, direction, rule for empty masks, source."""
    yield ["name", "definition", "unit", "range", "better", "if a mask is empty", "source"]
    for one in MEANINGS.values():
        name = f"{one.name}_<t>mm" if one.per_tolerance else one.name
        yield [f"`{name}`", one.definition, one.unit, one.range, one.better, one.when_empty, one.source]


def rules() -> Iterator[list[str]]:
    """Value of each score by protocol if both masks, only the reference, or only the prediction is empty."""
    yield ["", *(f"`{name}`" for name in PROTOCOLS)]
    for field, metric in RULES.items():
        cells = []
        for protocol in PROTOCOLS.values():
            rule = getattr(protocol, field)
            values = ["–" if is_undefined(v) else f"{v:.9g}" for v in (rule.both, rule.reference, rule.prediction)]
            cells.append(" / ".join(values) if metric in protocol.metrics else "not scored")
        yield [f"`{metric}{'_…' if MEANINGS[metric].per_tolerance else ''}`", *cells]


def hd95() -> Iterator[list[str]]:
    """The three definitions of HD95."""
    yield ["definition", "surface", "percentile", "the same as"]
    yield from ([f"`{name}`", *cells] for name, cells in HD95_MEANINGS.items())


def seed() -> Iterator[list[str]]:
    """The seed's scores."""
    yield ["name", "formula", "in words"]
    yield from ([f"`{name}`", *cells] for name, cells in SEED_MEANINGS.items())


TABLES: dict[str, Callable[[], Iterator[list[str]]]] = {"rules": rules, "scores": scores, "hd95": hd95, "seed": seed}


def table(name: str) -> str:
    """One table as Markdown."""
    heading, *rows = TABLES[name]()
    lines = [f"| {' | '.join(heading)} |".replace("|  |", "| |"), f"|{'---|' * len(heading)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def rewritten(text: str) -> str:
    """The document with every table made anew.

    Raises:
        ValueError: A marker is missing, or names no table.
    """
    marked = re.findall(r"<!-- table: (\w+) -->", text)
    if sorted(marked) != sorted(TABLES):
        raise ValueError(f"The document marks the tables {marked}. Expected each of {list(TABLES)} once.")
    pattern = re.compile(r"(<!-- table: (\w+) -->\n).*?(\n<!-- end of table -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}\n{table(found[2])}\n{found[3]}", text)


def main() -> int:
    """Rewrite the document, or check it; the exit code."""
    old = DOCUMENT.read_text(encoding="utf-8")
    new = rewritten(old)
    if "--check" in sys.argv[1:]:
        return int(old != new)
    DOCUMENT.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

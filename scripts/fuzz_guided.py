"""Damage files of one kind wherever it reaches new code (needs the package atheris), and look for faults of readers.

    .venv/bin/python scripts/fuzz_guided.py scheme --seconds 300

A fault is what `fuzz.py` calls one. Inputs are sound files and what atheris makes of them. Only Python code guides it.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fuzz import FAULT, Readers, place


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", help="a kind of files of fuzz_readers.py")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--faults", type=Path, default=Path("runs/fuzz"), help="folder for a text about each fault")
    options = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=["brats_unet"]):
        import fuzz_readers  # noqa: F401  (its imports are instrumented)
    readers = Readers(options.kind, Path(tempfile.mkdtemp(prefix="fuzz-")))
    corpus = Path(tempfile.mkdtemp(prefix="fuzz-corpus-"))
    for number, content in enumerate(readers.sound.values()):
        (corpus / str(number)).write_bytes(content)
    options.faults.mkdir(parents=True, exist_ok=True)
    counts, seen, paths, ends = Counter[str](), set[str](), sorted(readers.sound), time.monotonic() + options.seconds

    def one(data: bytes) -> None:
        outcome, words = readers.answer(paths[len(data) % len(paths)], data)
        counts[outcome] += 1
        if outcome == FAULT and (where := place(words)) not in seen:
            seen.add(where)
            name = f"guided-{options.kind.replace(' ', '_')}-{len(seen)}"
            (options.faults / f"{name}.txt").write_text(words)
            (options.faults / f"{name}.input").write_bytes(data)
            print(f"  {where}\n    see {options.faults / name}.txt", flush=True)
        if time.monotonic() > ends:
            print(f"| {options.kind} | {sum(counts.values())} | {' | '.join(f'{k} {n}' for k, n in counts.items())} |")
            raise KeyboardInterrupt

    atheris.Setup([sys.argv[0], "-max_len=20000", "-len_control=0", "-timeout=60", str(corpus)], one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Whether a disturbed command ended as it should, and whether the same command then made what an undisturbed one makes.

.venv/bin/python scripts/fault_results.py FOLDER FOLDER   # what differs between the results of two runs
"""

import csv
import gzip
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from fault_injection import FULL, KILL, TEMPORARY, plain_name

from brats_unet.errors import EXIT_CODES, STOPPED_AT_ONCE
from brats_unet.json_files import SEAL
from brats_unet.run import Run

# What may differ between two runs: clocks, free memory, and hashes of files that hold some.
CLOCKS = {"seconds", "modified_ns", "patches_per_second", "date", "command", "blake2b", SEAL}
# Files that hold clocks in their names or nowhere else: locks, events of TensorBoard, remembered hashes.
LEFT_OUT = re.compile(r"(^|/)(\.lock|\.locks|tensorboard|hashes\.json|fingerprint\.pb)(/|$)")
WRITTEN = "cannot be written"  # of any file: a full disk may be met first by another than the one that is disturbed
TIMES = re.compile(r"\d+(\.\d+)? ?(s|ms|min|h|minutes?|seconds?)\b|\d{4}-\d\d-\d\d|\d\d:\d\d(:\d\d)?|[\d.]+ GiB free")


class Answer(NamedTuple):
    """How a command ended: its exit code (None for a hang, negative for a signal), and all that it printed."""

    code: int | None
    words: str


def files(folder: Path) -> dict[str, Path]:
    """Files and empty folders of results, by their path in the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not LEFT_OUT.search(name := path.relative_to(folder).as_posix()) and not (
            path.is_dir() and any(path.iterdir())
        ):
            found[name] = path
    return found


def differences(folder: Path, expected: Path, *, cache: bool = True) -> list[str]:
    """What differs between two folders of results, clocks aside and maybe the cache; [] if nothing does."""
    ours, theirs = (
        {name: path for name, path in files(one).items() if cache or not name.startswith("cache/")}
        for one in (folder, expected)
    )
    leftover = [name for name in ours.keys() - theirs.keys() if any(map(TEMPORARY.fullmatch, Path(name).parts))]
    told = [f"{name} is a temporary that was left" for name in sorted(leftover)]
    told += [f"{name} is new" for name in sorted(ours.keys() - theirs.keys() - set(leftover))]
    told += [f"{name} is missing" for name in sorted(theirs.keys() - ours.keys())]
    both = sorted(ours.keys() & theirs.keys())
    return told + [f"{name} differs" for name in both if not same(ours[name], theirs[name])]


def same(one: Path, other: Path) -> bool:
    """Whether two files hold the same, clocks aside."""
    if one.is_dir() or other.is_dir():
        return one.is_dir() and other.is_dir()
    first, second = one.read_bytes(), other.read_bytes()
    if first == second:
        return True
    match one.suffix:
        case ".json":
            return without_clocks(json.loads(first)) == without_clocks(json.loads(second))
        case ".jsonl":
            return journal(one) == journal(other)
        case ".gz":
            return gzip.decompress(first) == gzip.decompress(second)
        case ".keras" | ".npz":
            return members(one) == members(other)
        case ".onnx":
            return operations(one) == operations(other)
        case ".csv":
            return table(first.decode()) == table(second.decode())
        case ".html" | ".md" | ".yaml" | ".svg":
            return TIMES.sub("", first.decode()) == TIMES.sub("", second.decode())
    return False


def without_clocks(value: Any) -> Any:
    """Plain values without those of the keys in `CLOCKS`."""
    if isinstance(value, dict):
        return {key: without_clocks(inner) for key, inner in value.items() if key not in CLOCKS}
    return [without_clocks(inner) for inner in value] if isinstance(value, list) else value


def table(text: str) -> list[list[str]]:
    """The cells of a CSV file without clocks and their columns."""
    rows = list(csv.reader(TIMES.sub("", text).splitlines()))
    kept = [column for column, name in enumerate(rows[0] if rows else []) if name not in CLOCKS]
    return [[row[column] for column in kept if column < len(row)] for row in rows]


def journal(file: Path) -> list[dict[str, Any]]:
    """The lines of a journal about what was computed: neither the clocks nor how often the training was started."""
    return [without_clocks(line) for line in Run(file.parent).journal() if line["event"] != "end"]


def members(file: Path) -> dict[str, bytes]:
    """The files in a zip file, without those that hold nothing but the date."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "metadata.json"}


def operations(file: Path) -> tuple[list[str], list[bytes]]:
    """The operations of an ONNX network and its weights; names of nodes differ from export to export."""
    import onnx

    graph = onnx.load(file).graph
    return sorted(node.op_type for node in graph.node), sorted(weights.raw_data for weights in graph.initializer)


def fault_of_end(how: str, answer: Answer, path: str, usual: int) -> str:
    """What is wrong with the end of a command that was disturbed; "" for nothing.

    Args:
        how: "kill", another disturbance of `fault_injection`, or the name of a signal.
        answer: How it ended.
        path: The disturbed file; "" if the disturbance did not come.
        usual: Exit code of the undisturbed command.
    """
    last = answer.words.strip().splitlines()[-1:] or ["nothing"]
    if answer.code is None:
        return "it hung"
    if "Traceback (most recent call last)" in answer.words:
        return f"it printed a traceback: {last[0]}"
    if how == KILL:
        return "" if answer.code in (-9, usual) else f"it ended with {answer.code}: {last[0]}"
    if answer.code not in EXIT_CODES:
        return f"it ended with {answer.code}: {last[0]}"
    if how.startswith("SIG"):
        return "" if answer.code in (usual, 75, STOPPED_AT_ONCE) else f"it ended with {answer.code}: {last[0]}"
    if path and answer.code != usual:
        errors = [line for line in answer.words.splitlines() if line.startswith("error: ")]
        if len(errors) != 1:
            return f"it ended with {answer.code} and {len(errors)} sentences: {last[0]}"
        if not names_file(answer.words, path) and not (how == FULL and WRITTEN in errors[0]):
            return f"it does not name {plain_name(path)}: {errors[0]}"
    return ""


def names_file(words: str, path: str) -> bool:
    """Whether a message names a file, or the folder that it lies in."""
    words, plain = " ".join(words.split()), Path(plain_name(path))
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words) for name in (plain.name, plain.parent.name))


def fault_of_repetition(
    answer: Answer, usual: int, folder: Path, expected: Path, *, done: bool, cache: bool = True
) -> str:
    """What is wrong with the same command, run again undisturbed; "" for nothing.

    Where all was done before, a refusal to replace it is right. `cache` says whether the cache must be the same: a
    resumed training makes only those files of a deleted cache again that it needs.
    """
    if answer.code is None:
        return "run again, it hung"
    if answer.code != usual and not (done and "overwrite=true" in answer.words):
        last = answer.words.strip().splitlines()[-1:] or ["nothing"]
        return f"run again, it ended with {answer.code}: {last[0]}"
    different = differences(folder, expected, cache=cache)
    return f"run again, {'; '.join(different[:4])}" if different else ""


if __name__ == "__main__":
    if len(sys.argv) != 3 or "--help" in sys.argv:
        print(__doc__)
        sys.exit(0 if "--help" in sys.argv else 2)
    print("\n".join(found := differences(*map(Path, sys.argv[1:]))))
    sys.exit(1 if found else 0)

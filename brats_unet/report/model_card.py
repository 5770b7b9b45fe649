"""`MODEL_CARD.md` of an exported network: intended use, data, scores, origin and limits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brats_unet.evaluation.record import SUMMARY, Evaluation, open_evaluation
from brats_unet.file_kinds.json_kinds import MasksFile, TunedFile
from brats_unet.inference.postprocess import named_as_now
from brats_unet.json_files import read_json
from brats_unet.report.page_facts import headline
from brats_unet.report.scheme_words import target
from brats_unet.run import PREDICTIONS, PREDICTIONS_MARK, Run
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_in

INTENDED = """\
Segmentation of brain {target}s in MR scans, for research: to compare methods, to give an expert a first mask to
correct, or to measure volumes in studies in which an expert checks every mask.

**Not a medical device. Not for diagnosis, treatment, or any decision about a patient.**"""
LIMITS = """\
- Scans must {scans} and be co-registered. The network was not tested on other diseases, ages,
  stages of treatment or scanners than those of the data above.
- Probabilities are not calibrated unless an evaluation shows that they are. A mask can be wrong without any warning.
- Scores on phantoms say nothing about patients. Scores on one dataset may not hold on another.
- Training may have computed in bfloat16 or float16. This network computes in float32, so single voxels at the borders
  of regions can differ."""


def card(run: Run, content: Mapping[str, Any], checkpoint: str) -> str:
    """Text of the model card, in Markdown.

    Args:
        run: Run of the network. If the folder is not a run, the card says that data and scores are unknown.
        content: Content of `prediction.json`.
        checkpoint: "last" or "best".
    """
    known = run.was_started
    unknown = "Unknown: the network was exported without its run."
    source, scheme = content["source"], scheme_in(content)
    name = source["run"] or source["file"] or "network"
    parts = [
        f"# Model card: {name}",
        f"## Intended use\n\n{INTENDED.format(target=target(scheme))}",
        f"## What it does\n\n{_what(run, content, scheme)}",
        f"## Scheme\n\n{_scheme(scheme, content['labels']['convention'])}",
        f"## Data\n\n{_data(run) if known else unknown}",
        f"## Scores\n\n{_scores(run, content, checkpoint) if known else unknown}",
        f"## Post-processing\n\n{_postprocessing(run, content)}",
        f"## Origin\n\n{_source(source, content)}",
        f"## Limits\n\n{LIMITS.format(scans=_scans(content))}",
    ]
    return "\n\n".join(parts) + "\n"


def _scans(content: Mapping[str, Any]) -> str:
    """What the scans must be like, as a clause that follows "must"."""
    return "show the whole head" if content["preparation"]["crop"] == "head" else "be skull-stripped, as in BraTS,"


def _what(run: Run, content: Mapping[str, Any], scheme: Scheme) -> str:
    network, labels = content["network"], content["labels"]
    spacing_mm = content["preparation"]["spacing_mm"]
    at = "on their own grid" if spacing_mm is None else f"at {' × '.join(f'{length:g}' for length in spacing_mm)} mm"
    integers = ", ".join(f"{integer} {word}" for word, integer in labels["integers"].items())
    regions = network["output"]["regions"]
    words = [scheme.regions[region].words for region in regions]
    described = "" if words == regions else f" ({', '.join(words)})"
    architecture = run.recipe()["model"]["name"] if run.was_started else "A network"
    return (
        f"{architecture} with {content['source']['weights']:,} weights ({network['format']}, float32). Input: "
        f"{', '.join(network['input']['modalities'])} {at}. Output: the probabilities of "
        f"{', '.join(regions)}{described} at each voxel. Masks "
        f"follow the label convention {labels['convention']}: {integers}. `prediction.json` describes the "
        f"preprocessing and the post-processing."
    )


def _scheme(scheme: Scheme, convention: str) -> str:
    """Name, source, regions and labels of what the network segments, with the labels' integers in masks."""
    integers = scheme.integers[convention]
    source = f" Source: {scheme.source}." if scheme.source else ""
    lines = [
        f"{scheme.name}.{source}",
        "",
        "| region | what it is | labels | predicted | scored |",
        "|---|---|---|---|---|",
    ]
    for name, region in scheme.regions.items():
        uses = ["yes" if name in regions else "no" for regions in (scheme.predicted, scheme.scored)]
        lines.append(f"| {name} | {_cell(region.words)} | {', '.join(region.labels)} | {' | '.join(uses)} |")
    lines += ["", f"| label | what it is | integer in masks ({convention}) |", "|---|---|---|"]
    for name, tissue in scheme.labels.items():
        values = ", ".join(map(str, integers[name])) if name in integers else "none"
        lines.append(f"| {name} | {_cell(tissue.words)} | {values} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A text in a Markdown table."""
    return " ".join(text.split()).replace("|", r"\|")


def _data(run: Run) -> str:
    data, division = run.data_settings(), run.division()
    held_out, trained = division["validation"], division["train"]
    root = Path(data["root"]).name if data["root"] else data["name"]
    kind = "synthetic phantoms, no patients" if data["name"] == "phantom" else f"reader {data['name']}"
    number, folds, seed = (data.get(key, "?") for key in ("fold", "folds", "fold_seed"))
    fold = "trained on every case" if number == "all" else f"fold {number} of {folds}"
    lines = [
        f"- Dataset: `{root}` ({kind}); label convention {run.recipe()['convention']}.",
        f"- Trained on {len(trained)} cases; {len(held_out)} held out ({fold}, fold seed {seed}).",
    ]
    if data.get("splits"):
        lines.append(f"- Split by the file `{Path(data['splits']).name}`.")
    if data.get("validation_root"):
        lines.append(f"- Held-out cases from a separate folder, `{Path(data['validation_root']).name}`.")
    if held_out:
        lines.append(f"- Held out: {', '.join(held_out)}.")
    return "\n".join(lines)


def _scores(run: Run, content: Mapping[str, Any], checkpoint: str) -> str:
    folder = run.evaluation_folder(checkpoint)
    if not (folder / SUMMARY).is_file():
        option = "" if checkpoint == "last" else f" checkpoint={checkpoint}"
        command = f"brats-unet evaluate run={run.name}{option}"
        return f"Not evaluated. `{command}` scores the held-out cases; export again after it."
    evaluation = open_evaluation(folder)
    text = _table(evaluation)
    weights = run.checkpoint_file(checkpoint)
    if weights.exists() and (folder / SUMMARY).stat().st_mtime < weights.stat().st_mtime:
        text += "\n\nThe weights file is newer than these scores: they may belong to earlier weights."
    if not _scored_as_exported(folder, content):
        text += (
            "\n\nThe scored masks were made with other thresholds, or in another inference mode, than this export "
            "uses. Evaluate again, then export again."
        )
    return text


def _scored_as_exported(folder: Path, content: Mapping[str, Any]) -> bool:
    """Whether the scored masks were made with the post-processing and inference options of `prediction.json`."""
    mark = folder / PREDICTIONS / PREDICTIONS_MARK
    if not mark.exists():
        return False
    made = read_json(mark, MasksFile, what=str(folder))
    inference = made["networks"][0]["recipe"]["inference"]
    return named_as_now(made["postprocessing"]) == content["postprocessing"] and all(
        content["inference"].get(key) == value for key, value in inference.items()
    )


def _table(evaluation: Evaluation) -> str:
    summary = evaluation.summary
    regions = list(summary["regions"])
    lines = [f"| mean (95 % interval), n | {' | '.join(regions)} |", f"|---|{'---|' * len(regions)}"]
    for row in headline(evaluation):
        if not row["important"]:
            continue
        cells = [
            f"{cell['mean']}{f' ({interval})' if (interval := cell['interval']) else ''}, n {cell['n']}"
            for cell in row["cells"]
        ]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    note = f" {summary['note']}" if summary.get("note") else ""
    about = (
        f"On the {len(evaluation.cases)} held-out cases, by the protocol {summary['protocol']['name']}. The "
        f"summary.json of the evaluation has all scores.{note} "
        f"Intervals are confidence intervals of the mean over cases; with fewer than five cases there is none."
    )
    return about + "\n\n" + "\n".join(lines)


def _postprocessing(run: Run, content: Mapping[str, Any]) -> str:
    rules = "\n".join(f"- {name}: {_value(value)}" for name, value in content["postprocessing"].items())
    if not run.postprocessing_file.exists():
        return rules
    tuned = read_json(run.postprocessing_file, TunedFile, what=str(run.folder))
    if named_as_now(tuned.get("postprocessing", {})) != content["postprocessing"] or "gain" not in tuned:
        return rules
    steps = tuned.get("steps", [])
    if steps and not any(step["adopted"] for step in steps):
        return (
            f"{rules}\n\n`brats-unet tune` tried {len(steps)} rules on {tuned['n']} held-out cases "
            f"and rejected all of them: they do not gain in cross-validation."
        )
    return (
        f"{rules}\n\nChosen by `brats-unet tune` on {tuned['n']} held-out cases: cross-fitted gain "
        f"{tuned['gain']:+.4f} ({tuned['metric']}). Scores of the same cases with these thresholds are too optimistic."
    )


def _value(value: Any) -> str:
    return ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, Mapping) else str(value)


def _source(source: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in (source["packages"] or {}).items())
    lines = [
        ("Run", source["run"]),
        ("File", source["file"]),
        ("Checkpoint", source["checkpoint"]),
        ("Steps", source["steps"]),
        ("Trained by brats-unet", source["brats_unet"]),
        ("Commit of the training", source["trained_by_commit"]),
        ("Commit of the export", source["exported_by_commit"]),
        ("Packages of the training", packages or None),
        ("Largest difference in probability between exported and trained network", _difference(content)),
    ]
    return "\n".join(f"- {name}: {value}" for name, value in lines if value is not None)


def _difference(content: Mapping[str, Any]) -> str:
    return f"{content['largest_difference_from_training_framework']:.1e}"

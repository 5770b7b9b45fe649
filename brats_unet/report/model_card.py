"""`MODEL_CARD.md` of an exported network: its use, data, scores, origin and limits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brats_unet.evaluation.record import SUMMARY, Evaluation, open_evaluation
from brats_unet.files import read_json
from brats_unet.report.page_facts import headline
from brats_unet.run import PREDICTIONS, PREDICTIONS_MARK, Run

INTENDED = """\
Outlining of brain tumours in MR scans, for research: comparing methods, first masks for a person to correct, measuring
volumes in studies where every mask is looked at.

**Not a medical device. Not for diagnosis, treatment, or any decision about a patient.**"""
LIMITS = """\
- Scans must be skull-stripped and co-registered, as BraTS has them. Nothing is known of other diseases, ages, stages of
  treatment or scanners than those of the data above.
- Probabilities are not calibrated unless an evaluation says so; a mask without a flag can be wrong.
- Scores on phantoms say nothing about patients. Scores are of one dataset and need not hold on another.
- In bfloat16 or float16, as training may have computed, single voxels at borders differ from this float32 network."""


def card(run: Run, content: Mapping[str, Any], checkpoint: str) -> str:
    """The model card, in Markdown.

    Args:
        run: Of the network; a folder that is no run leaves out what only a run knows.
        content: Of `prediction.json`.
        checkpoint: "last" or "best".
    """
    known = run.settings_file.exists()
    unknown = "Not known: the network was exported without its run."
    source = content["source"]
    name = source["run"] or source["file"] or "network"
    parts = [
        f"# Model card: {name}",
        f"## Intended use\n\n{INTENDED}",
        f"## What it does\n\n{_what(run, content)}",
        f"## Data\n\n{_data(run) if known else unknown}",
        f"## Scores\n\n{_scores(run, content, checkpoint) if known else unknown}",
        f"## Post-processing\n\n{_postprocessing(run, content)}",
        f"## Where it comes from\n\n{_source(source, content)}",
        f"## Limits\n\n{LIMITS}",
    ]
    return "\n\n".join(parts) + "\n"


def _what(run: Run, content: Mapping[str, Any]) -> str:
    network, labels = content["network"], content["labels"]
    spacing = " × ".join(f"{length:g}" for length in content["preparation"]["spacing_mm"])
    integers = ", ".join(f"{integer} {word}" for word, integer in labels["integers"].items())
    architecture = run.settings()["model"]["name"] if run.settings_file.exists() else "A network"
    return (
        f"{architecture}, {content['source']['weights']:,} weights, {network['format']}, float32: from "
        f"{', '.join(network['input']['modalities'])} at {spacing} mm to the probabilities of "
        f"{', '.join(network['output']['regions'])} (whole tumour, tumour core, enhancing tumour) at each voxel. Masks "
        f"are written in the {labels['convention']} convention: {integers}. `prediction.json` says how scans are "
        f"prepared and masks made."
    )


def _data(run: Run) -> str:
    told, division = run.settings()["data"], read_json(run.folds_file, what=str(run.folder))
    held_out, trained = division["validation"], division["train"]
    root = Path(told["root"]).name if told["root"] else told["name"]
    kind = "synthetic phantoms, no patients" if told["name"] == "phantom" else "reader brats"
    fold = "every case was trained on" if told["fold"] == "all" else f"fold {told['fold']} of {told['folds']}"
    lines = [
        f"- Dataset: `{root}` ({kind}); labels {run.recipe()['convention']}.",
        f"- Trained on {len(trained)} cases; {len(held_out)} held out ({fold}, fold seed {told['fold_seed']}).",
    ]
    if told.get("splits"):
        lines.append(f"- Divided by a file of the user's own, `{Path(told['splits']).name}`.")
    if told.get("validation_root"):
        lines.append(f"- Held-out cases from another folder, `{Path(told['validation_root']).name}`.")
    if held_out:
        lines.append(f"- Held out: {', '.join(held_out)}.")
    return "\n".join(lines)


def _scores(run: Run, content: Mapping[str, Any], checkpoint: str) -> str:
    folder = run.evaluation_folder(checkpoint)
    if not (folder / SUMMARY).is_file():
        asked = "" if checkpoint == "last" else f" checkpoint={checkpoint}"
        command = f"brats-unet evaluate run={run.name}{asked}"
        return f"Not evaluated. `{command}` scores the cases it held out; then export again."
    evaluation = open_evaluation(folder)
    text = _table(evaluation)
    weights = run.checkpoint_file(checkpoint)
    if weights.exists() and (folder / SUMMARY).stat().st_mtime < weights.stat().st_mtime:
        text += "\n\nThe weights' file is newer than these scores: they may be of earlier weights."
    if not _scored_as_exported(folder, content):
        text += (
            "\n\nThese scores are of masks made with other thresholds, or in another mode, than this export's. "
            "Evaluate again, then export again."
        )
    return text


def _scored_as_exported(folder: Path, content: Mapping[str, Any]) -> bool:
    """Whether the scored masks were made as `prediction.json` says masks are made."""
    mark = folder / PREDICTIONS / PREDICTIONS_MARK
    if not mark.exists():
        return False
    made = read_json(mark, what=str(folder))
    inference = made["networks"][0]["recipe"]["inference"]
    return made["postprocessing"] == content["postprocessing"] and all(
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
        f"On the {len(evaluation.cases)} held-out cases, by protocol {summary['protocol']['name']}; summary.json of "
        f"the evaluation has all scores.{note} "
        f"Intervals are of the mean over cases; with fewer than five there is none."
    )
    return about + "\n\n" + "\n".join(lines)


def _postprocessing(run: Run, content: Mapping[str, Any]) -> str:
    rules = "\n".join(f"- {name}: {_value(value)}" for name, value in content["postprocessing"].items())
    if not run.postprocessing_file.exists():
        return rules
    tuned = read_json(run.postprocessing_file, what=str(run.folder))
    if tuned.get("postprocessing") != content["postprocessing"] or "gain" not in tuned:
        return rules
    return (
        f"{rules}\n\nChosen by `brats-unet tune` on {tuned['n']} held-out cases: cross-fitted gain "
        f"{tuned['gain']:+.4f} ({tuned['metric']}); scores with these thresholds on those very cases flatter."
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
        ("Largest difference of a probability from the trained network's", _apart(content)),
    ]
    return "\n".join(f"- {name}: {value}" for name, value in lines if value is not None)


def _apart(content: Mapping[str, Any]) -> str:
    return f"{content['largest_difference_from_training_framework']:.1e}"

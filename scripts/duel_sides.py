"""The sides of scripts/duel.py: ours, trained by `brats-unet train`, and nnU-Net; what they cost, and their scores."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duel_cases import NAME, remove_unreadable, take_back
from duel_terms import PEER, Terms, brats_unet

from brats_unet.data.study import Study
from brats_unet.evaluation.score import Pair
from brats_unet.json_files import read_json
from brats_unet.report.scores import report_scores
from brats_unet.run import Run
from brats_unet.schemes.convention import Convention
from brats_unet.volume import Case


@dataclass(frozen=True)
class OurSide:
    """A side that `brats-unet train` trains.

    Attributes:
        name: Name of the side and of the folder of its runs.
        terms: What both sides share.
        settings: Settings of `train`, as typed.
        rules: Post-processing, as in the setting `postprocess` of `evaluate`.
    """

    name: str
    terms: Terms
    settings: Sequence[str]
    rules: str = "auto"

    def run_of(self, fold: int) -> Run:
        """The run that holds out a fold."""
        return Run(self.terms.output / self.name / f"fold{fold}")

    def train_and_predict(self, fold: int, study: Study) -> dict[str, Any]:
        """Train and predict the held-out cases; what it cost."""
        run, terms = self.run_of(fold), self.terms
        where = [f"runs={run.folder.parent}", f"name={run.name}", f"data.fold={fold}"]
        train = brats_unet("train", *self.settings, *where)
        trained = terms.once(
            f"{self.name}-fold{fold}-train", lambda log: terms.run(train, log) or self.trained_facts(run)
        )
        predict = brats_unet("evaluate", f"run={run.folder}", *self.evaluation())
        predicted = terms.once(f"{self.name}-fold{fold}-predict", lambda log: terms.run(predict, log) or {})
        return {"train": trained, "predict": predicted | {"seconds": predicted["process_seconds"]}}

    def evaluation(self) -> list[str]:
        """Settings of `evaluate`."""
        return [f"postprocess={self.rules}", f"device={self.terms.device}", "figures=false", "seed_scores=false"]

    @staticmethod
    def trained_facts(run: Run) -> dict[str, Any]:
        """Facts of a finished run. Its seconds are unknown if it ended by its number of steps."""
        from safetensors import safe_open

        settings, environment = run.settings(), read_json(run.environment_file, what=str(run.folder))
        with safe_open(run.checkpoint_file("last"), "numpy") as checkpoint:
            state = json.loads(checkpoint.metadata()["state"])
        return {
            "steps": state["step"],
            "chosen_by": "its steps=" if state["step"] == settings["steps"] else "the clock",
            "training_seconds": None if state["step"] == settings["steps"] else round(state["seconds"], 1),
            "validation_seconds": round(sum(line["seconds"] for line in run.journal("validation")), 1),
            "batch": settings["sampling"]["batch"],
            "patch": settings["sampling"]["patch"],
            **{key: environment[key] for key in ("devices", "precision", "packages")},
        }

    def score(self, folds: Sequence[int], studies: Mapping[int, Study]) -> list[tuple[str, Path]]:
        """Score the held-out cases of all folds; the name of the side and the folder of its scores."""
        folder = self.terms.output / "scores" / self.name
        runs = ",".join(str(self.run_of(fold).folder) for fold in folds)
        log = self.terms.output / "logs" / f"{self.name}-score.txt"
        self.terms.run(brats_unet("evaluate", f"run=[{runs}]", f"output={folder}", *self.evaluation()), log)
        return [(self.name, folder)]


@dataclass(frozen=True)
class NnunetSide:
    """nnU-Net with its planned batch or another one.

    Attributes:
        terms: What both sides share.
        batch: Slices or patches in a step; None: as planned.
        channels: Number of input channels.
        splits: Content of splits_final.json.
    """

    terms: Terms
    batch: int | None
    channels: int
    splits: Sequence[Mapping[str, Any]]

    @property
    def name(self) -> str:
        """Name of the side; it names its files."""
        return f"nnunet-{self.terms.configuration}" + (f"-batch{self.batch}" if self.batch else "")

    def stage(self, name: str, stage: str, *, results: str = "results", **options: Any) -> dict[str, Any]:
        """Facts of a stage of nnU-Net's side, which runs in its own environment if it has not finished yet."""
        terms, nnunet = self.terms, self.terms.output / "nnunet"

        def work(log: Path) -> dict[str, Any]:
            answer = nnunet / "answer.json"
            shared = {
                "dataset": NAME,
                "configuration": terms.configuration,
                "batch": self.batch,
                "threads": terms.threads,
                "device": terms.device,
                "minutes": terms.minutes,
                "answer": str(answer),
            }
            given = json.dumps({**shared, **options})
            terms.run([str(terms.peers), str(PEER), stage, given], log, nnUNet_results=str(nnunet / results))
            return read_json(answer, what=str(answer))

        return terms.once(name, work)

    def prepare(self) -> dict[str, Any]:
        """Plan and preprocess, once for all variants of the batch."""
        return self.stage("nnunet-prepare", "prepare", splits=self.splits)

    @property
    def predictions(self) -> Path:
        """Folder of nnU-Net's masks."""
        return self.terms.output / "nnunet" / "predictions" / self.name

    def train_and_predict(self, fold: int, study: Study) -> dict[str, Any]:
        """Train and predict the held-out cases; what it cost."""
        name, fixed = f"{self.name}-fold{fold}", self.terms.steps_nnunet
        timed = {} if fixed else self.stage(f"{self.name}-time", "time", results="timing", fold=fold)  # for all folds
        trained = self.stage(f"{name}-train", "train", fold=fold, steps=fixed or timed["steps"])
        chosen_by = "--steps-nnunet" if fixed else f"{timed['timed_steps']} timed steps"
        held_out = [study.cases[case_id] for case_id in study.split.validation]
        if cut := remove_unreadable(self.predictions, held_out):
            print(f"{', '.join(cut)}: the mask was cut short and is predicted again.")
        ids = [case.id for case in held_out]
        where = {"predictions": str(self.predictions), "channels": self.channels}
        predicted = self.stage(f"{name}-predict", "predict", fold=fold, cases=ids, **where)
        return {"time": timed, "train": {**trained, "chosen_by": chosen_by}, "predict": predicted}

    def score(self, folds: Sequence[int], studies: Mapping[int, Study]) -> list[tuple[str, Path]]:
        """Score the held-out cases of all folds, as predicted and, if its rule says so, post-processed."""
        cases = [studies[fold].cases[case_id] for fold in folds for case_id in studies[fold].split.validation]
        convention = studies[folds[0]].convention
        label = "-".join(map(str, folds))
        found = self.stage(f"{self.name}-postprocess-{label}", "postprocess", predictions=str(self.predictions))
        kinds = {self.name: self.predictions}
        if found["rules"]:
            kinds[f"{self.name}-largest"] = self.predictions / "postprocessed"
        return [(side, self.scored(side, masks, cases, convention)) for side, masks in kinds.items()]

    def scored(self, side: str, predictions: Path, cases: Sequence[Case], convention: Convention) -> Path:
        """Score masks as `brats-unet evaluate` scores those of a run; the folder of the scores."""
        output, masks = self.terms.output / "scores" / side, self.terms.output / "nnunet" / "masks" / side
        written = take_back(predictions, masks, cases, convention)
        pairs = []
        for case in cases:
            assert case.mask is not None
            pairs.append(Pair(case.id, case.mask, written[case.id], case.images, convention, convention))
        log = self.terms.output / "logs" / f"{side}-score.txt"
        with log.open("w", encoding="utf-8") as stream, contextlib.redirect_stdout(stream):
            report_scores(pairs, output, seed_scores=False, figures=False, title=side)
        return output

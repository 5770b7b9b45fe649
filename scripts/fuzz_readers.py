"""What `fuzz.py` damages: each kind of file that commands read, how a small one is made, and what opens it."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import wraps
from pathlib import Path

import nibabel
import numpy as np

from brats_unet.assembly.networks import postprocessing_of, run_paths
from brats_unet.assembly.provenance import facts_of_run
from brats_unet.assembly.resume import prepare_run_folder, rules_version
from brats_unet.cli.arguments import Request
from brats_unet.cli.checks import checked
from brats_unet.cli.main import settings_of
from brats_unet.commands import compare, evaluate, fuse, report, runs
from brats_unet.commands.tune import _read_case
from brats_unet.data.folds import Subject, fold_count, read_split_file, refuse_invalid_fold, split, write_or_verify
from brats_unet.data.inspection import inspect
from brats_unet.data.phantom.phantoms import known_cases, varieties, write_dataset
from brats_unet.data.phantom.scan_grid import grid_of
from brats_unet.data.prepare.cache import prepare_all
from brats_unet.data.prepare.content_hash import HashMemo
from brats_unet.data.prepare.preparation import Preparation
from brats_unet.data.prepare.preprocess import prepare
from brats_unet.data.readers.discovery import find_cases, survey
from brats_unet.data.run_cases import cases_elsewhere, held_out_cases, training_cases
from brats_unet.data.study import memoised_label_sets
from brats_unet.errors import BratsError
from brats_unet.evaluation.mean_shape_file import cached_mean_shape
from brats_unet.inference.confidence import RegionFacts
from brats_unet.inference.exported import describe_export
from brats_unet.inference.loading import open_network
from brats_unet.inference.masks_folder import is_stale
from brats_unet.inference.network import recipe as recipe_of
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.volumes_csv import read_volumes, volume_rows, write_volumes
from brats_unet.json_files import write_json
from brats_unet.modality import Modality
from brats_unet.nifti import write_volume
from brats_unet.run import Run
from brats_unet.scan_files import read_header, read_mask, read_scan, write_like
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin, read_scheme
from brats_unet.volume import Case, ImageFile, Volume

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
NAMES = [f"BraTS20_Training_{number:03}" for number in (1, 2, 3, 4)]
SHAPE = (12, 14, 10)
AFFINE = np.array([[-4.0, 0, 0, 20], [0, -4, 0, 24], [0, 0, 5, -20], [0, 0, 0, 1]])
PREPARATION = Preparation(tuple(Modality)[:4], (5.0, 5.0, 5.0))
ENDINGS = dict(zip(PREPARATION.modalities, (".nii.gz", ".nii", "-2.nii.gz", ".mgz"), strict=True))
SILENT = lambda *words: None  # noqa: E731  (a log and a progress that say nothing)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        damage: Key of `fuzz_mutations.DAMAGES`.
        files: Returns the files of this kind in the folder of a `Seeds`, sound; one of them is damaged for each input.
        reads: Opens them as the commands do; a BratsError is its refusal.
        share: How many inputs it gets beside the others.
        tensorflow: Whether it needs TensorFlow.
    """

    damage: str
    files: Callable[["Seeds"], Sequence[Path]]
    reads: Callable[["Seeds"], object]
    share: float = 1.0
    tensorflow: bool = False


def once(make):
    """A method of `Seeds` whose result is kept."""

    @wraps(make)
    def made(seeds):
        if make.__name__ not in seeds.made:
            seeds.made[make.__name__] = make(seeds)
        return seeds.made[make.__name__]

    return made


def command(name: str, *words: str):
    """The settings of a command line."""
    request = Request(name, {}, list(words))
    return settings_of(request, checked(request))


class Seeds:
    """Small sound files of every kind, in a folder; each is made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[str, object] = {}
        self.convention = conventions(builtin())["brats2017"]

    @property
    def out(self) -> Path:
        """A folder for what the readers write; emptied after each input."""
        return self.folder / "out"

    @once
    def data(self) -> Path:
        """Cases as BraTS 2020 names them, of noise around two boxes, with name_mapping.csv beside them."""
        root, noise = self.folder / "data", np.random.default_rng(0)
        for number, name in enumerate(NAMES):
            inside = np.zeros(SHAPE, np.int16)
            inside[1:-1, 2:-2, 1:-1] = 1
            for modality in tuple(Modality)[:4]:
                scan = (inside * noise.integers(200, 900, SHAPE)).astype(np.int16)
                write_volume(root / name / f"{name}_{modality}.nii.gz", Volume(scan, AFFINE))
            write_volume(root / name / f"{name}_seg.nii.gz", Volume(self.mask(number), AFFINE))
        rows = "".join(f"HGG,NA,{name}\n" for name in NAMES)
        (root / "name_mapping.csv").write_text(f"Grade,BraTS_2019_subject_ID,BraTS_2020_subject_ID\n{rows}")
        return root

    def mask(self, number: int) -> np.ndarray:
        mask = np.zeros(SHAPE, np.int16)
        mask[3:8, 4:9, 2 + number : 6] = 2
        mask[4:6, 5:7, 3:5] = [[1, 4], [4, 1]]
        return mask

    def cases(self) -> list[Case]:
        return find_cases(self.data(), modalities=PREPARATION.modalities).cases

    @once
    def mixed(self) -> list[Path]:
        """The files of one case, each of another kind: NIfTI packed and not, NIfTI-2, FreeSurfer, a packed mask."""
        folder, case = self.folder / "mixed", self.cases()[0]
        folder.mkdir()
        for modality, ending in ENDINGS.items():
            scan = read_scan(case.images[modality])
            path = folder / f"{modality}{ending}"
            if ending == "-2.nii.gz":
                nibabel.save(nibabel.Nifti2Image(scan.array, scan.affine), path)
            else:
                write_volume(path, scan)
        shutil.copy(case.mask, folder / "seg.nii.gz")
        return sorted(folder.iterdir())

    @once
    def itk(self) -> list[Path]:
        folder, scan = self.folder / "itk", read_scan(next(iter(self.cases()[0].images.values())))
        for suffix in (".mha", ".nrrd"):
            write_like(folder / f"a{suffix}", scan.array // 4, next(iter(self.cases()[0].images.values())))
        import SimpleITK

        image = SimpleITK.ReadImage(folder / "a.mha")
        SimpleITK.WriteImage(image, folder / "b.mhd")
        SimpleITK.WriteImage(image, folder / "c.nhdr")
        return sorted(folder.iterdir())

    @once
    def slices(self) -> list[Path]:
        from PIL import Image

        folder = self.folder / "TCGA_CS_1_20000101"
        folder.mkdir()
        for number in (1, 2):
            picture = np.random.default_rng(number).integers(0, 255, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{folder.name}_{number}.tif")
            Image.fromarray((picture[..., 0] > 99).astype(np.uint8) * 255).save(
                folder / f"{folder.name}_{number}_mask.tif"
            )
        return sorted(folder.iterdir())

    @once
    def settings(self):
        words = [
            f"data.root={self.data()}",
            f"data.cache={self.folder / 'cache'}",
            f"runs={self.folder}",
            "name=run",
            "rules=2",
        ]
        return command(
            "train",
            "experiment=quick",
            "data=brats",
            "data.folds=2",
            "model.features=[2,3]",
            "model.strides=[1,2]",
            *words,
        )

    def recipe(self) -> dict:
        options = {"name": "unet3d", "features": [2, 3], "convolutions": 1, "strides": [1, 2], "norm": "instance"}
        options |= {"foreground_channel": False, "deep_supervision": False}
        return recipe_of(
            model=options, outputs="regions", logits=3, stride=(2, 2, 2), preparation=PREPARATION,
            inference={"mode": "tiles", "tile": [8, 8, 8], "overlap": 0.5, "tile_batch": 1, "mirror": "none"},
            scheme=builtin(), convention="brats2017", precision="float32",
        )  # fmt: skip

    @once
    def run(self) -> Run:
        """A run folder without its weights."""
        run, settings = Run(self.folder / "run"), self.settings()
        write_json(run.settings_file, asdict(settings))
        write_json(run.recipe_file, self.recipe())
        subjects = [Subject(name, name, "HGG", f"{number:032}") for number, name in enumerate(NAMES)]
        document = write_or_verify(self.folder / "all_folds.json", subjects, folds=2, seed=12345)
        division = split(document, 0)
        ids = {"train": division.train, "validation": division.validation}
        write_json(run.folds_file, {**document, **ids, "contents": dict.fromkeys(NAMES, "0" * 32)})
        facts = {"brats_unet": "0", "commit": None, "command": ["train"], "packages": {"keras": "3"}, "plugins": {}}
        write_json(run.environment_file, {**facts, "devices": "CPU", "precision": "float32"})
        dice = {"WT": 0.5, "TC": 0.25, "ET": None}
        for step in (1, 2):
            run.note("step", step=step, loss=0.5, learning_rate=0.1, gradient_norm=1.0, patches_per_second=3.0)
        run.note("patches", step=2, loss=0.5, dice=dice, running_mean_dice=0.3, seconds=0.1, best=True)
        run.note("validation", step=2, dice={**dice, "ET": 0.1}, seconds=0.3, best=True)
        run.note("end", state="stopped", at=2, seconds=6.0)
        write_json(run.postprocessing_file, {"postprocessing": Postprocessing().as_dict(builtin()), "metric": "dice"})
        write_json(self.folder / "ens" / "ensemble.json", {"members": ["a", "b"]})
        for name in ("a", "b"):
            (self.folder / "ens" / name).mkdir()
        return run

    @once
    def masks(self) -> Path:
        """A folder as `predict` leaves it."""
        folder = self.folder / "masks"
        rows = {}
        for number, name in enumerate(NAMES):
            write_volume(folder / f"{name}.nii.gz", Volume(self.mask(number + 1), AFFINE))
            facts = [RegionFacts(region, 100.0, 0.9, 1.0) for region in builtin().predicted]
            rows[name] = volume_rows(name, facts, ["a reason"])
        write_volumes(folder, rows)
        write_json(folder / "predictions.json", self.origin())
        return folder

    def origin(self) -> dict:
        network = {"weights": "run/checkpoints/last.safetensors", "modified_ns": 1, "recipe": self.recipe()}
        return {
            "networks": [network],
            "convention": "brats2017",
            "postprocessing": Postprocessing().as_dict(builtin()),
            "kept": [],
        }

    @once
    def scores(self) -> Path:
        """An evaluation in the folder of the run."""
        folder = self.run().evaluation_folder()
        words = [f"predictions={self.masks()}", f"references={self.data()}", f"output={folder}"]
        evaluate.evaluated(command("evaluate", *words, "figures=false", "workers=1", "seed_scores=true"))
        shutil.copytree(folder, self.folder / "other")
        return folder

    @once
    def evaluation_settings(self):
        words = [f"predictions={self.masks()}", f"references={self.data()}", f"output={self.out}"]
        return command("evaluate", *words, "figures=false", "workers=1", "seed_scores=false")

    @once
    def compare_settings(self):
        return command("compare", f"runs=[{self.scores()},{self.folder / 'other'}]")

    @once
    def report_settings(self):
        return command(
            "report", f"run={self.scores()}", f"output={self.folder / 'page.html'}", "viewer=0", "pictures=0"
        )

    @once
    def runs_settings(self):
        self.run()
        return command("runs", f"folder={self.folder}", f"output={self.folder / 'runs.csv'}")

    @once
    def fuse_settings(self):
        words = [f"inputs=[{self.masks()},{self.data()}]", f"output={self.folder / 'fused'}", "overwrite=true"]
        return command("fuse", *words)

    @once
    def fused(self) -> list[Path]:
        fuse.main(self.fuse_settings())
        return [self.folder / "fused" / "fusion.json"]

    @once
    def cached(self) -> Path:
        prepare_all(self.cases()[:1], PREPARATION, self.convention, self.folder / "prepared", workers=1)
        memoised_label_sets(
            {c.id: c.mask for c in self.cases()}, HashMemo(self.folder / "prepared" / "hashes.json"), SILENT
        )
        return self.folder / "prepared"

    @once
    def task(self) -> Path:
        folder, case = self.folder / "task", self.cases()[0]
        for channel, image in enumerate(case.images.values()):
            write_like(folder / "imagesTr" / f"a_{channel:04}.nii.gz", read_scan(image).array, image)
        write_like(folder / "labelsTr" / "a.nii.gz", self.mask(0), next(iter(case.images.values())))
        names = {str(channel): name for channel, name in enumerate(("FLAIR", "T1", "T1ce", "T2"))}
        labels = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3}
        write_json(
            folder / "dataset.json",
            {"channel_names": names, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"},
        )
        return folder

    @once
    def lgg(self) -> Path:
        self.slices()
        folder = self.folder / "kaggle_3m"
        shutil.copytree(self.folder / "TCGA_CS_1_20000101", folder / "TCGA_CS_1_20000101")
        (folder / "data.csv").write_text("Patient,neoplasm_histologic_grade\nTCGA_CS_1,2\n")
        return folder

    @once
    def phantoms(self) -> Path:
        folder = self.folder / "phantoms"
        write_dataset(folder, cases=1, seed=0, scheme=builtin(), grid=self.grid())
        return folder

    def grid(self):
        return grid_of(kind_of(builtin()).grid, None, (10.0, 10.0, 10.0))

    @once
    def splits(self) -> list[Path]:
        one = {"train": NAMES[1:], "val": NAMES[:1]}
        write_json(self.folder / "splits.json", [one, {"train": NAMES[:1], "validation": NAMES[1:]}])
        write_json(self.folder / "one_split.json", {"train": NAMES[1:], "validation": NAMES[:1]})
        self.run()
        shutil.copy(self.folder / "all_folds.json", self.folder / "folds_of_run.json")
        return [self.folder / name for name in ("splits.json", "one_split.json", "folds_of_run.json")]

    @once
    def exported(self) -> Path:
        """A convolution of one voxel as an ONNX network, with its description."""
        from onnx import TensorProto, helper

        folder = self.folder / "exported"
        weights = helper.make_tensor("w", TensorProto.FLOAT, (3, 4, 1, 1, 1), [0.1] * 12)
        nodes = [
            helper.make_node("Transpose", ["image"], ["a"], perm=[0, 4, 1, 2, 3]),
            helper.make_node("Conv", ["a", "w"], ["b"]),
            helper.make_node("Sigmoid", ["b"], ["c"]),
            helper.make_node("Transpose", ["c"], ["region_probabilities"], perm=[0, 2, 3, 4, 1]),
        ]
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", "x", "y", "z", last])
            for name, last in (("image", 4), ("region_probabilities", 3))
        ]
        graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], [weights])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        described = describe_export(
            self.recipe(),
            Postprocessing(),
            form="onnx",
            rank=3,
            stride=(1, 1, 1),
            source={
                "run": "run",
                "file": None,
                "checkpoint": "last",
                "steps": 2,
                "trained_by_commit": None,
                "exported_by_commit": None,
                "brats_unet": "0",
                "packages": {},
                "weights": 12,
            },
            hashes={},  # as earlier versions wrote it: else a damaged network would not reach its runtime
        )
        write_json(folder / "prediction.json", described)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        return folder

    @once
    def trained(self) -> list[Path]:
        """The .keras file of a network and a checkpoint of it, beside the recipe of the run."""
        from brats_unet.models import checkpoint, known
        from brats_unet.parts import build

        run = self.run()
        model = build("model", known(), self.recipe()["model"], channels=4, outputs=3, dtype="float32", seed=0)
        model.save(run.model_file)
        checkpoint.write(
            run.checkpoint_file("last"),
            {key: np.array(value) for key, value in checkpoint.named(model, None).items()},
            checkpoint.State(2),
        )
        return [run.model_file, run.checkpoint_file("last")]

    @once
    def arrays(self) -> list[Path]:
        folder = self.folder / "tuning"
        folder.mkdir()
        probabilities, labels = np.full((3, 3, 3, 3), 0.5, np.float16), np.ones((3, 3, 3), np.uint8)
        np.savez_compressed(
            folder / f"{NAMES[0]}.npz", probabilities=probabilities, labels=labels, spacing_mm=(1.0, 1.0, 1.0)
        )
        cached_mean_shape(folder / "mean_shape.npz", self.cases(), self.convention, workers=1)
        return sorted(folder.iterdir())


def kind_of(scheme):
    from brats_unet.data.phantom.phantom_case import kind_of as kind

    return kind(scheme)


def _scan(seeds: Seeds) -> None:
    folder = seeds.mixed()[0].parent
    images = {modality: ImageFile(folder / f"{modality}{ending}") for modality, ending in ENDINGS.items()}
    _open_case(Case("a", images, folder / "seg.nii.gz"), seeds)


def _open_case(case: Case, seeds: Seeds) -> None:
    """As `check` inspects a case (every defect is a finding) and as training and prediction prepare it."""
    inspect(case)
    inspect(case, with_skull=True)
    for image in case.images.values():
        with contextlib.suppress(BratsError):
            read_header(image)
    preparations = (
        PREPARATION,
        replace(PREPARATION, spacing_mm=None, crop="head"),
        replace(PREPARATION, crop="none", normalise="max"),
    )
    for preparation in preparations:
        prepared = prepare(case, preparation, seeds.convention if case.mask else None)
    probabilities = np.zeros((*prepared.image.shape[:3], 3), np.float32)
    labels = prepared.grid.to_case(probabilities)[..., 0].astype(np.uint8)
    write_like(seeds.out / "mask.nii.gz", labels, next(iter(case.images.values())))


def _itk(seeds: Seeds) -> None:
    for path in seeds.itk():
        if path.suffix in (".mha", ".nrrd", ".mhd", ".nhdr"):
            inspect(Case("a", dict.fromkeys(PREPARATION.modalities, ImageFile(path)), path))
    for path in seeds.itk():
        if path.suffix in (".mha", ".nrrd", ".mhd", ".nhdr"):
            read_header(ImageFile(path))
            read_scan(ImageFile(path))
            read_mask(path)


def _slices(seeds: Seeds) -> None:
    folder = seeds.slices()[0].parent
    images = {
        modality: ImageFile(folder, channel, (1.0, 1.0, 5.0))
        for channel, modality in enumerate(("flair", "t1", "t1ce"))
    }
    inspect(Case("a", images, folder))
    survey(folder, modalities=PREPARATION.modalities[:3], slices=True)
    read_scan(images["flair"])
    read_mask(folder)


def _npy(seeds: Seeds) -> list[Path]:
    folder = seeds.folder / "npy"
    folder.mkdir(exist_ok=True)
    np.save(folder / "a.npy", seeds.mask(0))
    return [folder / "a.npy"]


def _splits(seeds: Seeds) -> None:
    for path in seeds.splits():
        for fold in (0, 1, "all"):
            refuse_invalid_fold(fold=fold, folds=None, splits=str(path), validation_root=None)
            read_split_file(path, NAMES, fold)
        fold_count(path)


def _folds(seeds: Seeds) -> None:
    seeds.run()
    document = write_or_verify(
        seeds.folder / "all_folds.json",
        [Subject(n, n, "HGG", f"{i:032}") for i, n in enumerate(NAMES)],
        folds=2,
        seed=12345,
    )
    for fold in (0, 1, "all"):
        split(document, fold)


def _run(seeds: Seeds) -> None:
    """A run folder as runs, report, evaluate, export and a resumed training read it."""
    run = seeds.run()
    runs.main(seeds.runs_settings())
    refusals = []
    memo = HashMemo(seeds.out / "hashes.json")
    for read in (
        lambda: rules_version(run, replace(seeds.settings(), rules=None)),
        lambda: prepare_run_folder(run, seeds.settings()),
        lambda: held_out_cases(run),
        lambda: training_cases(run),
        lambda: cases_elsewhere(run, str(seeds.data()), leave_out=[], spacing_mm=None, memo=memo),
        lambda: recorded_of(run),
        lambda: facts_of_run(run, run.folder, "last"),
        lambda: run.plugins(),
        lambda: run.journal("validation"),
        lambda: scored_recipe(run),
        lambda: card_of(seeds),
        lambda: postprocessing_of([run.folder], "auto", builtin(), SILENT),
        lambda: report_of(seeds),
    ):
        try:
            read()
        except BratsError as problem:
            refusals.append(problem)
    if refusals:
        raise refusals[0]


def recorded_of(run: Run) -> None:
    from brats_unet.data.recorded_cases import recorded_cases

    found = recorded_cases(run)
    assert found is not None
    found.refuse_other_ids("root", NAMES)


def scored_recipe(run: Run) -> None:
    from brats_unet.assembly.scored_cases import _recorded

    _recorded(run)


def card_of(seeds: Seeds) -> None:
    from brats_unet.report.model_card import card

    content = json.loads((seeds.exported() / "prediction.json").read_text())
    card(seeds.run(), {**content, "largest_difference_from_training_framework": 0.0}, "last")


def report_of(seeds: Seeds) -> None:
    report.main(seeds.report_settings())


def _evaluation(seeds: Seeds) -> None:
    seeds.scores()
    refusals = []
    for read in (lambda: compare.compared(seeds.compare_settings()), lambda: report_of(seeds)):
        try:
            read()
        except BratsError as problem:
            refusals.append(problem)
    if refusals:
        raise refusals[0]


def _masks(seeds: Seeds) -> None:
    folder = seeds.masks()
    is_stale(folder, seeds.origin())
    evaluate.evaluated(seeds.evaluation_settings())


def _volumes(seeds: Seeds) -> None:
    rows = read_volumes(seeds.masks())
    seeds.out.mkdir(exist_ok=True)
    write_volumes(seeds.out, rows)


def _cache(seeds: Seeds) -> None:
    folder = seeds.cached()
    memo = HashMemo(folder / "hashes.json")
    memoised_label_sets({case.id: case.mask for case in seeds.cases()}, memo, SILENT)
    for prepared in prepare_all(seeds.cases()[:1], PREPARATION, seeds.convention, folder, workers=1):
        assert prepared.image.ndim == 4
        assert prepared.labels is not None
        assert prepared.foreground
    fingerprint_of(seeds)


def fingerprint_of(seeds: Seeds) -> None:
    from brats_unet.data.fingerprint import fingerprint

    prepared = prepare_all(seeds.cases()[:1], PREPARATION, seeds.convention, seeds.folder / "prepared", workers=1)
    fingerprint(prepared, PREPARATION.modalities, builtin(), seeds.folder / "prepared" / "fingerprint.json")


def _cache_files(seeds: Seeds) -> list[Path]:
    folder = seeds.cached()
    fingerprint_of(seeds)
    return sorted(path for path in folder.rglob("*.json"))


def _cache_arrays(seeds: Seeds) -> list[Path]:
    return sorted(path for path in seeds.cached().rglob("*.npy"))


def _phantoms(seeds: Seeds) -> None:
    folder = seeds.phantoms()
    known_cases(folder, {})
    write_dataset(folder, cases=1, seed=0, scheme=builtin(), grid=seeds.grid())
    varieties(folder)


def _exported(seeds: Seeds) -> None:
    folder = seeds.exported()
    network = open_network(folder, which="last", policies={}, device="cpu", log=SILENT)
    network.preparation, network.scheme, network.patterns, network.fills_missing  # noqa: B018
    network.with_options(mirror="none").warm_up()


def _onnx(seeds: Seeds) -> None:
    _exported(seeds)


def _trained(seeds: Seeds) -> None:
    paths = seeds.trained()
    for path in (paths[0], paths[0].parent):
        network = open_network(path, which="last", policies={}, device="cpu", log=SILENT)
        network.warm_up()


def _arrays(seeds: Seeds) -> None:
    folder = seeds.arrays()[0].parent
    _read_case(folder, seeds.cases()[0], builtin())
    cached_mean_shape(folder / "mean_shape.npz", seeds.cases(), seeds.convention, workers=1)


def _plan(seeds: Seeds) -> None:
    command("train", "experiment=quick", f"data.root={seeds.folder}", f"plan={seeds.folder / 'plan.yaml'}")


def _plan_file(seeds: Seeds) -> list[Path]:
    file = seeds.folder / "plan.yaml"
    file.write_text(
        "# A plan\nexperiment: quick\ndata: brats\ndata.labels: auto\n"
        "data.modalities: [flair, t1, t1ce, t2]\n"
        "data.leave_out: []\ndata.preparation.spacing_mm: [2, 2, 2]\nsampling.patch: [32, 32, 32]\nsampling.batch: 2\n"
        "model.features: [4, 8]\nmodel.strides: [1, 2]\nplanned_for: {dataset: scans, cases: 6, spacing_mm: [1, 1]}\n"
    )
    return [file]


def _conf(seeds: Seeds) -> None:
    request = Request(
        "train", {"--config-dir": str(seeds.folder / "conf")}, ["experiment=mine", f"data.root={seeds.folder}"]
    )
    settings_of(request, checked(request))


def _conf_file(seeds: Seeds) -> list[Path]:
    file = seeds.folder / "conf" / "experiment" / "mine.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        "# @package _global_\n# Mine.\n"
        "defaults:\n  - override /model: unet3d\nsteps: 5  # steps\nsampling:\n  batch: 2\n"
    )
    return [file]


def _scheme_file(seeds: Seeds) -> list[Path]:
    file = seeds.folder / "own.yaml"
    file.write_text(
        "labels:\n  a: 1\n  b: {value: 2, words: bee}\n"
        "regions:\n  W: [a, b]\n  B: {labels: [b], colour: '#000000'}\nscored: [W, B]\n"
    )
    return [file]


def _survey(root: Path, **options: object) -> None:
    survey(root, modalities=PREPARATION.modalities, **options)


KINDS: dict[str, Kind] = {
    "scans": Kind("nifti", lambda s: s.mixed(), _scan, 4),
    "itk": Kind("header", lambda s: s.itk(), _itk, 1.5),
    "slices": Kind("bytes", lambda s: s.slices(), _slices),
    "npy masks": Kind("npy", _npy, lambda s: read_mask(s.folder / "npy" / "a.npy")),
    "masks": Kind("nifti", lambda s: sorted(s.masks().glob("*.nii.gz")), _masks, 0.3),
    "dataset.json": Kind("json", lambda s: [s.task() / "dataset.json"], lambda s: _survey(s.task())),
    "name_mapping.csv": Kind("csv", lambda s: [s.data() / "name_mapping.csv"], lambda s: _survey(s.data())),
    "data.csv": Kind(
        "csv",
        lambda s: [s.lgg() / "data.csv"],
        lambda s: survey(s.lgg(), modalities=PREPARATION.modalities[:3], slices=True),
    ),
    "splits": Kind("json", lambda s: s.splits(), _splits, 2),
    "folds": Kind("json", lambda s: [s.run() and s.folder / "all_folds.json"], _folds),
    "settings.json": Kind("json", lambda s: [s.scores() and s.run().settings_file], _run, 0.5),
    "recipe.json": Kind("json", lambda s: [s.scores() and s.run().recipe_file], _run, 0.5),
    "folds.json": Kind("json", lambda s: [s.scores() and s.run().folds_file], _run, 0.5),
    "environment.json": Kind("json", lambda s: [s.scores() and s.run().environment_file], _run, 0.5),
    "postprocessing.json": Kind(
        "json",
        lambda s: [s.run().postprocessing_file],
        lambda s: postprocessing_of([s.run().folder], "auto", builtin(), SILENT),
    ),
    "journal": Kind("lines", lambda s: [s.scores() and s.run().journal_file], _run),
    "ensemble.json": Kind(
        "json", lambda s: [s.run() and s.folder / "ens" / "ensemble.json"], lambda s: run_paths(str(s.folder / "ens"))
    ),
    "prediction.json": Kind("json", lambda s: [s.exported() / "prediction.json"], _exported, 2),
    "onnx": Kind("bytes", lambda s: [s.exported() / "model.onnx"], _onnx),
    "scores.csv": Kind("csv", lambda s: [s.scores() / "scores.csv", s.scores() / "cases.csv"], _evaluation),
    "summary.json": Kind("json", lambda s: [s.scores() / "summary.json"], _evaluation),
    "predictions.json": Kind("json", lambda s: [s.masks() / "predictions.json"], _masks),
    "volumes.csv": Kind("csv", lambda s: [s.masks() / "volumes.csv"], _volumes),
    "fusion.json": Kind("json", lambda s: s.fused(), lambda s: fuse.main(s.fuse_settings()), 0.3),
    "cache": Kind("json", _cache_files, _cache, 0.5),
    "cached arrays": Kind("npy", _cache_arrays, _cache, 0.5),
    "phantom.json": Kind("json", lambda s: [s.phantoms() / "phantom.json"], _phantoms, 0.5),
    "arrays": Kind("zip", lambda s: s.arrays(), _arrays),
    "scheme": Kind("yaml", _scheme_file, lambda s: read_scheme(s.folder / "own.yaml"), 2),
    "plan": Kind("yaml", _plan_file, _plan, 0.3),
    "conf": Kind("yaml", _conf_file, _conf, 0.3),
    "keras": Kind("zip", lambda s: s.trained()[:1], _trained, 0.3, tensorflow=True),
    "checkpoint": Kind("safetensors", lambda s: s.trained()[1:], _trained, 0.3, tensorflow=True),
    "recipe of a network": Kind(
        "json", lambda s: [s.trained() and s.run().recipe_file], _trained, 0.3, tensorflow=True
    ),
}

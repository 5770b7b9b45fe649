"""What the recipes in conf/experiment/ set and say, against their originals and against our own formulas."""

import re
import shlex

import pytest

from brats_unet import models
from brats_unet.assembly.topology import topology_of
from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli.conf_files import COMMANDS, Conf, own_folder
from brats_unet.cli.yaml_files import read
from brats_unet.data.augment import known as known_augmentations
from brats_unet.data.patches.sampling import Sampler
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.parts import build, options_of
from brats_unet.training.step_memory import step_bytes
from brats_unet.trial.memory_limit import GPU_SHARE
from brats_unet.trial.noise_cases import case_shape

FOR_GPUS = sorted(set(Conf("train").choices("experiment")) - {"none", "quick"})


def composed(line):
    """The settings of a command line, as the command gets them."""
    request = arguments.split(shlex.split(line))
    return bind(COMMANDS[request.command], hydra.settings_of(request, checks.checked(request)))


def recipe(experiment, more=""):
    return composed(f"train experiment={experiment} data=brats data.root=x {more}")


def head(experiment):
    """The opening comment of a recipe's file as one line of text for each of its paragraphs."""
    about = "\n".join(read(own_folder() / "experiment" / f"{experiment}.yaml").about)
    return re.sub(r"\n +", " ", about)


def entry(experiment, name):
    """The text of an entry of the head, such as that of "Memory"."""
    (text,) = re.findall(rf"^{name}: +(.*)$", head(experiment), re.MULTILINE)
    return text


# Patches on a tumour


def forced_in_nnunet(batch):
    """Patches of a batch that nnU-Net centres on a tumour: nnUNetDataLoader._oversample_last_XX_percent with 0.33."""
    return sum(not sample < round(batch * (1 - 0.33)) for sample in range(batch))


def test_nnunet_forces_1_1_1_and_2_patches_of_2_3_4_and_5():
    assert [forced_in_nnunet(batch) for batch in (2, 3, 4, 5)] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("experiment", "more", "batch"),
    [
        ("nnunet", "", 2),
        ("resenc_m", "", 2),
        ("resenc_l", "", 3),
        ("resenc_l", "sampling.batch=5 sampling.foreground=0.4", 5),  # preset XL, as its head says
        ("isensee2020", "", 5),
    ],
)
def test_each_batch_has_as_many_patches_on_a_tumour_as_in_nnunet(experiment, more, batch):
    sampling = recipe(experiment, more).sampling
    sampler = Sampler([], (8, 8, 8), sampling.batch, sampling.foreground, None, 0)
    assert sampling.batch == batch
    steps = [*range(3000), *range(248_000, 250_000)]  # the first of a run and the last
    forced = {sum(sampler.forced(step * batch + sample) for sample in range(batch)) for step in steps}
    assert forced == {forced_in_nnunet(batch)}


# Memory


def formula_gib(experiment, more=""):
    """Memory of a step on each GPU by `step_bytes`, in GiB, for brains of the usual size."""
    settings = recipe(experiment, more)
    described = models.describe(settings.model["name"], options_of(settings.model))
    topology = topology_of(settings.model, described)
    largest = case_shape(Preparation.of(settings.data.modalities, settings.data.preparation))
    augmentation = build("augmentation", known_augmentations(), settings.augmentation)
    sampling, replicas = settings.sampling, settings.hardware.replicas or 1
    given = {
        "channels": len(settings.data.modalities),
        "margin": augmentation.for_patches(sampling.patch, largest).margin,
        "program": False,  # on a GPU, Python and TensorFlow are in the memory of the machine
    }
    share = sampling.batch // replicas // sampling.accumulate
    newer, older = (step_bytes(topology, sampling.patch, share, precision=p, **given) for p in ("bfloat16", "float16"))
    assert newer == older  # a GPU computes in bfloat16 or, without it, in float16
    return newer / 2**30


@pytest.mark.parametrize("experiment", FOR_GPUS)
def test_the_memory_in_the_head_is_that_of_the_formula_and_says_so(experiment):
    text = entry(experiment, "Memory")
    assert "by formula" in text and "not measured" in text
    figures = re.findall(r"([\d.]+) GiB(?: with (\S+=\w+))?", text)
    assert figures and not figures[0][1]
    for gib, more in figures:
        assert float(gib) == round(formula_gib(experiment, more), 1), (gib, more)
    assert head(experiment).count("GiB") == len(figures)  # no figure elsewhere


@pytest.mark.parametrize("experiment", FOR_GPUS)
def test_the_gpu_that_the_head_asks_for_holds_a_step(experiment):
    summary = read(own_folder() / "experiment" / f"{experiment}.yaml").summary
    for size_gb in re.findall(r"for a GPU with (\d+) GB", summary):
        assert int(size_gb) * GPU_SHARE >= formula_gib(experiment)


@pytest.mark.parametrize("experiment", FOR_GPUS)
def test_every_other_size_in_a_head_is_published_or_the_budget_of_a_planner(experiment):
    text = re.sub(r"for a GPU with \d+ GB|[Pp]ublished: [\d.]+ GB|budget \d+ GB", "", head(experiment))
    assert " GB" not in text

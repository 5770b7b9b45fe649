"""What the recipes in conf/experiment/ set and say, against their originals and against our own formulas."""

import re
import shlex
from math import prod

import pytest

from brats_unet import models
from brats_unet.assembly.topology import planned_model, topology_of
from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.cli.yaml_files import read
from brats_unet.commands.plan import LARGEST_BATCH
from brats_unet.data.augment import known as known_augmentations
from brats_unet.data.patches.sampling import Sampler
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.files import conf_folder
from brats_unet.parts import build, options_of
from brats_unet.training.planning import propose
from brats_unet.training.step_memory import step_bytes
from brats_unet.trial.memory_limit import GPU_SHARE
from brats_unet.trial.noise_cases import case_shape

GPUS = {"kaggle_t4": 2}  # for all others, 1
FOR_GPUS = sorted(set(Conf("train").choices("experiment")) - {"none", "quick", "lgg2d"})


def composed(line):
    """The settings of a command line, as the command gets them."""
    request = arguments.split(shlex.split(line))
    return bind(COMMANDS[request.command], hydra.settings_of(request, checks.checked(request)))


def recipe(experiment, more=""):
    return composed(f"train experiment={experiment} data=brats data.root=x {more}")


def head(experiment):
    """The opening comment of a recipe's file as one line of text for each of its paragraphs."""
    about = "\n".join(read(conf_folder() / "experiment" / f"{experiment}.yaml").about)
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
        ("kaggle_t4", "", 2),
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


def bytes_on_a_gpu(settings, model, patch, share):
    """Memory of a step of `share` patches by `step_bytes`, on a GPU, for brains of the usual size."""
    topology = topology_of(model, models.describe(model["name"], options_of(model)))
    largest = case_shape(Preparation.of(settings.data.modalities, settings.data.preparation))
    augmentation = build("augmentation", known_augmentations(), settings.augmentation)
    given = {
        "channels": len(settings.data.modalities),
        "margin": augmentation.for_patches(patch, largest, settings.sampling.overhang).margin,
        "program": False,  # on a GPU, Python and TensorFlow are in the memory of the machine
    }
    newer, older = (step_bytes(topology, patch, share, precision=p, **given) for p in ("bfloat16", "float16"))
    assert newer == older  # a GPU computes in bfloat16 or, without it, in float16
    return newer


def formula_gib(experiment, more=""):
    settings = recipe(experiment, more)
    sampling = settings.sampling
    share = sampling.batch // GPUS.get(experiment, 1) // sampling.accumulate
    return bytes_on_a_gpu(settings, settings.model, sampling.patch, share) / 2**30


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
    summary = read(conf_folder() / "experiment" / f"{experiment}.yaml").summary
    for size_gb in re.findall(r"for a GPU with (\d+) GB", summary):
        assert int(size_gb) * GPU_SHARE >= formula_gib(experiment)


@pytest.mark.parametrize("experiment", FOR_GPUS)
def test_every_other_size_in_a_head_is_published_or_the_budget_of_a_planner(experiment):
    text = re.sub(r"for a GPU with \d+ GB|[Pp]ublished: [\d.]+ GB|budget \d+ GB", "", head(experiment))
    assert " GB" not in text


# Two T4s

BRATS_2020 = {"median_shape": (138, 169, 138), "spacing_mm": (1, 1, 1), "voxels": 369 * 138 * 169 * 138}


def test_patch_batch_and_network_of_kaggle_t4_are_those_of_the_plan_for_nnunet_on_two_t4s():
    (memory_gib,) = re.findall(r"memory_gib=([\d.]+)`", head("kaggle_t4"))
    settings, own = (
        composed(f"plan experiment=nnunet data=brats data.root=x memory_gib={memory_gib}"),
        recipe("kaggle_t4"),
    )

    def cost(patch, share, strides, features):
        return bytes_on_a_gpu(settings, planned_model(settings.model, strides, features), patch, share)

    found = propose(
        **BRATS_2020,
        rank=3,
        first_stride=(1, 1, 1),
        first_features=32,
        cost=cost,
        budget_bytes=round(settings.memory_gib * 2**30),
        largest_batch=LARGEST_BATCH[True],
        replicas=2,
    )
    assert (list(found.patch), found.batch) == (own.sampling.patch, own.sampling.batch)
    assert list(found.features) == own.model["features"]
    assert found.strides == models.describe("unet3d", options_of(own.model)).strides


def patch_flop(topology, patch, *, channels=4, outputs=3):
    """Floating-point operations of a step for one patch: two for each weight and voxel, and twice that backward."""
    edges, voxels, before, products = list(patch), [], channels, 0
    for stride, features, count in zip(topology.strides, topology.features, topology.convolutions, strict=True):
        edges = [-(-edge // step) for edge, step in zip(edges, stride, strict=True)]
        voxels.append(prod(edges))
        products += voxels[-1] * 27 * features * (before + features * (count - 1))
        before = features
    for level, count in enumerate(topology.decoder_convolutions):
        features, below = topology.features[level : level + 2]
        products += voxels[level] * features * (below + 27 * features * (count + 1) + outputs)
    return 3 * 2 * products


def unet3d_topology(**options):
    model = {"name": "unet3d", **options}
    return topology_of(model, models.describe("unet3d", options))


def test_operations_are_counted_by_hand():
    topology = unet3d_topology(features=[3, 5], convolutions=1, decoder_convolutions=1)
    # 4 to 3 channels, 3 to 5 on half the grid; 5 to 3 by one tap of the upsampling, 6 to 3, and the head
    assert patch_flop(topology, (4, 4, 4)) == 6 * (64 * 27 * 12 + 8 * 27 * 15 + 64 * 15 + 64 * 27 * 18 + 64 * 9)


def test_the_estimate_in_the_head_of_kaggle_t4_follows_from_its_assumptions():
    settings, text = recipe("kaggle_t4"), head("kaggle_t4").replace("\n", " ")
    tera = (
        patch_flop(
            topology_of(settings.model, models.describe("unet3d", options_of(settings.model))), settings.sampling.patch
        )
        / 1e12
    )
    (rate,) = map(float, re.findall(r"a T4 computes ([\d.]+) TFLOP/s, a fifth of the 24", text))
    assert f"a patch costs {tera:.1f} TFLOP" in text and rate == 24 / 5
    seconds = tera / rate  # of a step: each GPU computes one patch
    steps = round(settings.minutes * 60 / seconds, -3)
    epochs = round(steps * settings.sampling.batch / 295, -1)
    assert (
        f"not measured: {seconds:.1f} s a step, so {steps:,.0f} steps, which are {epochs:.0f} epochs of the 295" in text
    )
    nnunet = 2 * patch_flop(unet3d_topology(), (128, 128, 128)) / (150 / 250)  # 150 s for 250 steps
    assert f"nnU-Net reached {nnunet / 1e12:.1f} TFLOP/s" in text

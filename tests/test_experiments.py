"""What the recipes in conf/experiment/ set and say, against their originals and against our own formulas."""

import shlex

import pytest

from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli.conf_files import COMMANDS
from brats_unet.data.patches.sampling import Sampler


def composed(line):
    """The settings of a command line, as the command gets them."""
    request = arguments.split(shlex.split(line))
    return bind(COMMANDS[request.command], hydra.settings_of(request, checks.checked(request)))


def recipe(experiment, more=""):
    return composed(f"train experiment={experiment} data=brats data.root=x {more}")


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

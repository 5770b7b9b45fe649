import pytest

from brats_unet.data.patches.storage import choose_storage
from brats_unet.errors import SettingsError

GIB = 2**30


def chosen(keep, size, *, memory=16 * GIB, device=None, training=GIB):
    return choose_storage(keep, size, memory_bytes=memory, device_bytes=device, training_bytes=training)


def test_cases_that_fit_beside_the_training_are_kept_on_the_gpu():
    found = chosen("auto", 9 * GIB, device=80 * GIB, training=12 * GIB)
    assert found.where == "device"
    assert found.sentence == (
        "Keeping 9.0 GiB of cases on the device (80.0 GiB free there, of which training takes about 12.0 GiB)."
    )


def test_cases_too_large_for_the_gpu_are_kept_in_memory_else_on_disk():
    assert chosen("auto", 7 * GIB, device=8 * GIB, training=4 * GIB).where == "memory"
    found = chosen("auto", 9 * GIB, device=8 * GIB, training=4 * GIB)
    assert found.where == "disk"
    assert found.sentence == (
        "Reading 9.0 GiB of cases from disk: too many for memory (16.0 GiB free, of which they may take half)."
    )


def test_without_a_gpu_auto_means_memory_or_disk():
    assert chosen("auto", 8 * GIB).where == "memory"
    assert chosen("auto", 8 * GIB + 1).where == "disk"


@pytest.mark.parametrize("keep", ["disk", "memory", "device"])
def test_an_explicit_choice_that_fits_is_taken(keep):
    assert chosen(keep, GIB, device=8 * GIB).where == keep
    assert chosen(keep, GIB).where == keep


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("memory", "sampling.keep=memory: 9.0 GiB of cases do not fit into 8.0 GiB (16.0 GiB free, of which"),
        ("device", "sampling.keep=device: 9.0 GiB of cases do not fit into 6.3 GiB (8.0 GiB free there, of which"),
    ],
)
def test_an_explicit_choice_that_does_not_fit_is_refused(keep, message):
    with pytest.raises(SettingsError) as refused:
        chosen(keep, 9 * GIB, device=8 * GIB)
    assert str(refused.value).startswith(message) and str(refused.value).endswith(
        "Use sampling.keep=disk, which maps them into memory as they are needed."
    )

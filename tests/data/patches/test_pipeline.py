from dataclasses import replace

import numpy as np
import pytest

from brats_unet.data.patches.pipeline import aligned, batches, on_devices, read_batch
from brats_unet.data.patches.sampling import PatchPlace, Sampler
from brats_unet.data.patches.storage import in_memory


@pytest.fixture(scope="module")
def sampler(tmp_path_factory, write_prepared):
    folder = tmp_path_factory.mktemp("cases")
    labels = np.random.default_rng(0).choice(np.array([0, 0, 1, 2, 4], np.uint8), size=(3, 12, 11, 10))
    cases = [write_prepared(folder, f"case_{i}", labels[i], seed=i, channels=3) for i in range(3)]
    return Sampler(cases, (8, 12, 6), 4, 0.5, None, 7)  # longer than the cases along y


def elements(sampler, **options):
    return [tuple(part.numpy() for part in element) for element in batches(sampler, **options)]


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_batch_has_the_patches_of_its_samples(sampler):
    images, labels = read_batch(sampler, 3, np.array([2, 0]))
    for row, sample in enumerate((2, 0)):
        place = sampler.place(3, sample)
        x, _, z = place.start
        case = sampler.cases[place.case]
        np.testing.assert_array_equal(images[row, :, :11], case.image[x : x + 8, :, z : z + 6])
        np.testing.assert_array_equal(labels[row, :, :11], case.labels[x : x + 8, :, z : z + 6])
        assert not images[row, :, 11:].any() and not labels[row, :, 11:].any()


def test_a_margin_is_read_around_the_same_patches(sampler):
    widened = replace(sampler, margin=(2, 0, 3))
    images, labels = read_batch(widened, 3, np.array([2, 0]))
    assert images.shape == (2, 12, 12, 12, 3) and labels.shape == (2, 12, 12, 12)
    plain_images, plain_labels = read_batch(sampler, 3, np.array([2, 0]))
    np.testing.assert_array_equal(images[:, 2:-2, :, 3:-3], plain_images)
    np.testing.assert_array_equal(labels[:, 2:-2, :, 3:-3], plain_labels)
    for row, sample in enumerate((2, 0)):
        x, _, z = sampler.place(3, sample).start
        case = sampler.cases[sampler.place(3, sample).case]
        beside = case.image[x - 1, :, z] if x else np.zeros((11, 3))
        np.testing.assert_array_equal(images[row, 1, :11, 3], beside)
    assert batches(widened, first_step=0, steps=1).element_spec[2].shape == (4, 12, 12, 12, 3)


def test_the_dataset_gives_the_batches_of_read_batch_in_order(sampler):
    found = elements(sampler, first_step=0, steps=6)
    same(found, [(t, np.arange(4), *read_batch(sampler, t, np.arange(4))) for t in range(6)])


def test_images_are_float16_labels_uint8_and_shapes_are_static(sampler):
    step, samples, images, labels = batches(sampler, first_step=0, steps=1).element_spec
    assert (step.dtype, samples.dtype, images.dtype, labels.dtype) == ("int64", "int64", "float16", "uint8")
    assert images.shape == (4, 8, 12, 6, 3) and labels.shape == (4, 8, 12, 6) and samples.shape == (4,)


def test_starting_at_a_later_step_gives_the_same_batches(sampler):
    same(elements(sampler, first_step=3, steps=7), elements(sampler, first_step=0, steps=7)[3:])


def test_there_are_no_batches_after_the_last_step(sampler):
    assert elements(sampler, first_step=7, steps=7) == []


@pytest.mark.parametrize("replicas", [2, 4])
def test_sample_i_goes_to_replica_i_modulo_the_number_of_replicas(sampler, replicas):
    whole = elements(sampler, first_step=1, steps=4)
    shares = elements(sampler, first_step=1, steps=4, replicas=replicas)
    assert len(shares) == replicas * len(whole)
    for k, (step, samples, images, labels) in enumerate(shares):
        _, _, all_images, all_labels = whole[k // replicas]
        assert step == 1 + k // replicas and samples.tolist() == list(range(k % replicas, 4, replicas))
        np.testing.assert_array_equal(images, all_images[samples])
        np.testing.assert_array_equal(labels, all_labels[samples])


def test_workers_read_the_shares_of_their_own_replicas(sampler):
    shares = elements(sampler, first_step=0, steps=3, replicas=4)
    for worker in (0, 1):
        own = elements(sampler, first_step=0, steps=3, replicas=4, workers=2, worker=worker)
        same(own, [share for k, share in enumerate(shares) if k % 4 in (2 * worker, 2 * worker + 1)])


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 8, 8, 8, 4)])
@pytest.mark.parametrize("dtype", [np.float16, np.uint8])
def test_an_aligned_array_starts_at_a_multiple_of_64_bytes(shape, dtype):
    array = aligned(shape, dtype)
    assert array.shape == shape and array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable
    assert array.ctypes.data % 64 == 0


@pytest.mark.parametrize("margin", [(0, 0, 0), (3, 2, 14)])  # the last: a patch may lie outside the volume
@pytest.mark.parametrize("replicas", [1, 2])
def test_batches_are_the_same_bit_for_bit_from_disk_memory_and_device(sampler, replicas, margin):
    widened = replace(sampler, margin=margin)
    expected = elements(widened, first_step=2, steps=8, replicas=replicas)
    loaded = in_memory(widened.cases)
    assert not isinstance(loaded[0].image, np.memmap)
    same(elements(replace(widened, cases=loaded), first_step=2, steps=8, replicas=replicas), expected)
    on_device = on_devices(widened.cases, ["CPU:0"] * replicas)
    found = elements(replace(widened, cases=on_device), first_step=2, steps=8, replicas=replicas)
    same(found, expected)
    assert [part.dtype for part in found[0][2:]] == [np.float16, np.uint8]


@pytest.mark.parametrize("margin", [(0, 0, 0), (3, 0, 5)])
def test_patches_that_overhang_are_the_same_bit_for_bit_from_disk_memory_and_device(sampler, margin):
    over = replace(sampler, foreground=1.0, overhang=True, margin=margin)
    starts = np.array([over.place(step, sample).start for step in range(6) for sample in range(4)])
    assert (starts + over.patch > (12, 12, 10)).any(axis=0).all()  # along each axis, some patches do
    expected = elements(over, first_step=0, steps=6)
    for cases in (in_memory(over.cases), on_devices(over.cases, ["CPU:0"])):
        same(elements(replace(over, cases=cases), first_step=0, steps=6), expected)
    for step, samples, images, labels in expected:
        for row, sample in enumerate(samples):
            place = over.place(int(step), int(sample))
            corner = tuple(
                slice(20 + a - m, 20 + a + p + m) for a, m, p in zip(place.start, margin, over.patch, strict=True)
            )
            case = over.cases[place.case]
            np.testing.assert_array_equal(images[row], np.pad(case.image, [(20, 20)] * 3 + [(0, 0)])[corner])
            np.testing.assert_array_equal(labels[row], np.pad(case.labels, 20)[corner])


@pytest.mark.parametrize("start", [(12, 0, 0), (0, -13, 3), (20, 30, 40)])
def test_a_patch_outside_the_volume_is_0_from_disk_memory_and_device(sampler, start, monkeypatch):
    monkeypatch.setattr(Sampler, "place", lambda self, step, sample: PatchPlace(0, start))
    for cases in (sampler.cases, in_memory(sampler.cases), on_devices(sampler.cases, ["CPU:0"])):
        for _, _, images, labels in elements(replace(sampler, cases=cases), first_step=0, steps=1):
            assert not images.any() and not labels.any()


def test_workers_cut_the_shares_of_their_own_replicas_on_the_device(sampler):
    shares = elements(sampler, first_step=0, steps=3, replicas=4)
    on_device = replace(sampler, cases=on_devices(sampler.cases, ["CPU:0", "CPU:0"]))
    own = elements(on_device, first_step=0, steps=3, replicas=4, workers=2, worker=1)
    same(own, [share for k, share in enumerate(shares) if k % 4 in (2, 3)])

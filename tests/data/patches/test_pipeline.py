from dataclasses import replace

import numpy as np
import pytest

from brats_unet.data.patches.pipeline import aligned, batches, on_devices, read_batch
from brats_unet.data.patches.sampling import Sampler
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


def test_a_batch_is_the_patches_of_its_samples(sampler):
    images, labels = read_batch(sampler, 3, np.array([2, 0]))
    for row, sample in enumerate((2, 0)):
        place = sampler.place(3, sample)
        x, _, z = place.start
        case = sampler.cases[place.case]
        np.testing.assert_array_equal(images[row, :, :11], case.image[x : x + 8, :, z : z + 6])
        np.testing.assert_array_equal(labels[row, :, :11], case.labels[x : x + 8, :, z : z + 6])
        assert not images[row, :, 11:].any() and not labels[row, :, 11:].any()


def test_a_margin_is_read_around_the_same_patches(sampler):
    wide = replace(sampler, margin=(2, 0, 3))
    images, labels = read_batch(wide, 3, np.array([2, 0]))
    assert images.shape == (2, 12, 12, 12, 3) and labels.shape == (2, 12, 12, 12)
    plain, marks = read_batch(sampler, 3, np.array([2, 0]))
    np.testing.assert_array_equal(images[:, 2:-2, :, 3:-3], plain)
    np.testing.assert_array_equal(labels[:, 2:-2, :, 3:-3], marks)
    for row, sample in enumerate((2, 0)):
        x, _, z = sampler.place(3, sample).start
        case = sampler.cases[sampler.place(3, sample).case]
        beside = case.image[x - 1, :, z] if x else np.zeros((11, 3))
        np.testing.assert_array_equal(images[row, 1, :11, 3], beside)
    assert batches(wide, first_step=0, steps=1).element_spec[2].shape == (4, 12, 12, 12, 3)


def test_the_dataset_gives_the_batches_in_order_as_they_are_read(sampler):
    found = elements(sampler, first_step=0, steps=6)
    same(found, [(t, np.arange(4), *read_batch(sampler, t, np.arange(4))) for t in range(6)])


def test_images_stay_float16_labels_bytes_and_shapes_are_known_to_the_graph(sampler):
    step, samples, images, labels = batches(sampler, first_step=0, steps=1).element_spec
    assert (step.dtype, samples.dtype, images.dtype, labels.dtype) == ("int64", "int64", "float16", "uint8")
    assert images.shape == (4, 8, 12, 6, 3) and labels.shape == (4, 8, 12, 6) and samples.shape == (4,)


def test_to_resume_is_to_begin_at_another_step(sampler):
    same(elements(sampler, first_step=3, steps=7), elements(sampler, first_step=0, steps=7)[3:])


def test_nothing_is_left_to_do_at_the_end_of_the_budget(sampler):
    assert elements(sampler, first_step=7, steps=7) == []


@pytest.mark.parametrize("replicas", [2, 4])
def test_the_replicas_share_out_the_batch_by_sample_modulo_their_number(sampler, replicas):
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
        mine = elements(sampler, first_step=0, steps=3, replicas=4, workers=2, worker=worker)
        same(mine, [share for k, share in enumerate(shares) if k % 4 in (2 * worker, 2 * worker + 1)])


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 8, 8, 8, 4)])
@pytest.mark.parametrize("dtype", [np.float16, np.uint8])
def test_a_batch_begins_where_tensorflow_takes_it_over_without_a_copy(shape, dtype):
    array = aligned(shape, dtype)
    assert array.shape == shape and array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable
    assert array.ctypes.data % 64 == 0


@pytest.mark.parametrize("margin", [(0, 0, 0), (3, 2, 14)])  # the last beyond the volume altogether
@pytest.mark.parametrize("replicas", [1, 2])
def test_batches_are_the_same_bit_for_bit_from_disk_memory_and_device(sampler, replicas, margin):
    wide = replace(sampler, margin=margin)
    expected = elements(wide, first_step=2, steps=8, replicas=replicas)
    whole = in_memory(wide.cases)
    assert not isinstance(whole[0].image, np.memmap)
    same(elements(replace(wide, cases=whole), first_step=2, steps=8, replicas=replicas), expected)
    held = on_devices(wide.cases, ["CPU:0"] * replicas)
    found = elements(replace(wide, cases=held), first_step=2, steps=8, replicas=replicas)
    same(found, expected)
    assert [part.dtype for part in found[0][2:]] == [np.float16, np.uint8]


def test_workers_cut_the_shares_of_their_own_replicas_from_the_device_too(sampler):
    shares = elements(sampler, first_step=0, steps=3, replicas=4)
    held = replace(sampler, cases=on_devices(sampler.cases, ["CPU:0", "CPU:0"]))
    mine = elements(held, first_step=0, steps=3, replicas=4, workers=2, worker=1)
    same(mine, [share for k, share in enumerate(shares) if k % 4 in (2, 3)])

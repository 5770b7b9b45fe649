import pytest

from brats_unet.training.step_memory import Topology, feature_numbers, step_bytes, weights

UNET3D = Topology(
    ((1, 1, 1), *[(2, 2, 2)] * 5), (32, 64, 128, 256, 320, 320), (2,) * 6, (2,) * 5
)  # fmt: skip
QUICK = Topology(((2, 2, 2),) * 4, (16, 32, 64, 128), (2,) * 4, (2,) * 3)
RESENC_M = Topology(
    UNET3D.strides, UNET3D.features, (2, 6, 8, 12, 12, 12), (1,) * 5, sums=(1, 3, 4, 6, 6, 6)
)  # fmt: skip
# MiB held by the process of `commands.trial` with mirroring only, on 2 EPYC cores with TensorFlow 2.21.
MEASURED = [
    (QUICK, (16, 16, 16), 1, "bfloat16", 798),
    (QUICK, (64, 80, 64), 2, "bfloat16", 994),
    (QUICK, (64, 80, 64), 4, "bfloat16", 1137),
    (QUICK, (64, 80, 64), 2, "float32", 1009),
    (UNET3D, (64, 64, 64), 2, "bfloat16", 2670),
    (UNET3D, (64, 64, 64), 4, "bfloat16", 3874),
    (UNET3D, (96, 96, 96), 1, "bfloat16", 3570),
    (UNET3D, (64, 64, 64), 2, "float32", 2990),
    (RESENC_M, (64, 64, 64), 2, "bfloat16", 4360),
]


@pytest.mark.parametrize(("topology", "patch", "batch", "precision", "mebibytes"), MEASURED)
def test_the_formula_is_within_10_percent_of_the_measured_memory(topology, patch, batch, precision, mebibytes):
    found = step_bytes(topology, patch, batch, channels=4, precision=precision) / 2**20
    assert found == pytest.approx(mebibytes, rel=0.1)


def test_feature_maps_are_counted_by_hand():
    small = Topology(((1, 1, 1), (2, 2, 2)), (3, 5), (2, 1), (2,))
    # 2 + 2 convolutions, the upsampled map and the two maps of the concatenation; then one convolution on the coarse grid
    assert feature_numbers(small, (4, 4, 4)) == 64 * 3 * 7 + 8 * 5 * 1


@pytest.mark.parametrize(
    ("topology", "parameters"), [(UNET3D, 31_198_991), (QUICK, 1_403_980), (RESENC_M, 102_353_167)]
)
def test_the_estimated_number_of_weights_is_within_2_percent(topology, parameters):
    assert weights(topology, 4) == pytest.approx(parameters, rel=0.02)


def test_the_margin_and_the_program_add_their_bytes():
    plain = step_bytes(QUICK, (32, 32, 32), 2, channels=4, precision="float32")
    wide = step_bytes(QUICK, (32, 32, 32), 2, channels=4, precision="float32", margin=(4, 0, 0))
    assert wide - plain == 2 * 200 * 8 * 32 * 32
    bare = step_bytes(QUICK, (32, 32, 32), 2, channels=4, precision="float32", program=False)
    assert plain - bare == 780 * 2**20

import pytest

from brats_unet.models import describe
from brats_unet.models.nvidia import nvidia_unet


@pytest.mark.usefixtures("zero_weights")
def test_it_has_as_many_weights_as_nvidias_network_to_the_last_one():
    # monai 1.6.1, DynUNet of 5 channels, 3 outputs, trans_bias and 2 heads of deep supervision
    assert nvidia_unet(channels=4, outputs=3).count_params() == 50_838_665
    assert nvidia_unet(channels=4, outputs=3, features=[8, 12, 16, 24]).count_params() == 90_801


def test_its_fifth_channel_can_be_left_out():
    with_it, without = (
        nvidia_unet(channels=4, outputs=3, features=[8, 12, 16], deep_supervision=1, foreground_channel=on)
        for on in (True, False)
    )
    assert with_it.count_params() - without.count_params() == 27 * 8


def test_its_three_heads_are_all_trained():
    network_shape = describe("nvidia_unet", {})
    assert (network_shape.heads, network_shape.lowest_head) == (3, True)

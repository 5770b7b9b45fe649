from brats_unet.spelling import nearest, suggestion


def test_the_nearest_name_is_offered():
    assert nearest("unet3", ["unet3d", "vnet"]) == "unet3d"
    assert suggestion("unet3", ["vnet", "unet3d"]) == "Did you mean unet3d?"


def test_a_word_unlike_all_names_is_answered_with_all_of_them():
    assert nearest("zzz", ["unet3d", "unet2d"]) is None
    assert suggestion("zzz", ["unet3d", "unet2d"]) == "Known: unet2d, unet3d."

"""Binary cross-entropy in which the voxels of a region weigh more."""

from typing import Annotated

from brats_unet.binding import Range
from brats_unet.losses.loss import Loss
from brats_unet.parts import contract_options


@contract_options({}, {"weight": 5.0})
def region_weighted_bce(*, weight: Annotated[float, Range(0, above_least=True)] = 2.0) -> Loss:
    """Mean over voxels and regions; a voxel inside a region counts `weight` times."""

    def per_sample(logits, masks):
        from keras import ops

        logits = ops.cast(logits, "float32")  # they may be bfloat16
        nats = ops.softplus((1 - 2 * masks) * logits) * (1 + (weight - 1) * masks)
        return ops.mean(nats, axis=tuple(range(1, len(logits.shape))))  # (B,)

    return Loss("regions", per_sample)

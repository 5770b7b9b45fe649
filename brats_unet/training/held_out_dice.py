"""Validation during training: Dice over whole held-out volumes."""

from collections.abc import Sequence

import numpy as np

from brats_unet.data.prepare.cache import PreparedCase
from brats_unet.inference.network import Network
from brats_unet.metrics.counts import count, dice
from brats_unet.metrics.protocols import PROTOCOLS

RULE = PROTOCOLS["brats2020"].dice  # for empty masks


def held_out_dice(network: Network, cases: Sequence[PreparedCase]) -> dict[str, float]:
    """Mean Dice per region over whole volumes, on the prepared grid; empty masks follow the brats2020 protocol.

    Args:
        network: Network with the weights to validate.
        cases: Held-out cases, one or more.

    Returns:
        Dice from 0 to 1 by predicted region of the network's scheme.
    """
    scheme, rows = network.scheme, []
    for case in cases:
        # Via labels, as in written masks: a voxel of a region outside its parent region counts for both.
        predicted = scheme.predicted_masks(
            scheme.labels_from_masks(network.on_prepared_grid(np.asarray(case.image)) >= 0.5)
        )
        reference = scheme.predicted_masks(np.asarray(case.labels))
        rows.append([dice(count(reference[..., i], predicted[..., i]), RULE) for i in range(len(scheme.predicted))])
    return {region: float(value) for region, value in zip(scheme.predicted, np.mean(rows, axis=0), strict=True)}

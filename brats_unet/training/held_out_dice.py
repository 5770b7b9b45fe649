"""Validation during training: Dice over whole held-out volumes."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from brats_unet.data.prepare.cache import PreparedCase
from brats_unet.inference.network import Network
from brats_unet.metrics.counts import count, dice
from brats_unet.metrics.protocols import PROTOCOLS

RULE = PROTOCOLS["brats2020"].dice  # for empty masks


def held_out_dice(
    network: Network,
    cases: Sequence[PreparedCase],
    keep_first: Callable[[np.ndarray, Mapping[str, float]], None] | None = None,
) -> list[dict[str, float]]:
    """Dice per region over whole volumes, on the prepared grid; empty masks follow the brats2020 protocol.

    Args:
        network: Network with the weights to validate.
        cases: Held-out cases.
        keep_first: Gets the predicted labels of the first case, as in memory, and its Dice by region.

    Returns:
        Dice from 0 to 1 of each case, by predicted region of the network's scheme; [] without cases.
    """
    scheme, found = network.scheme, []
    for case in cases:
        # Via labels, as in written masks: a voxel of a region outside its parent region counts for both.
        labels = scheme.labels_from_masks(network.on_prepared_grid(np.asarray(case.image)) >= 0.5)
        predicted = scheme.predicted_masks(labels)
        reference = scheme.predicted_masks(np.asarray(case.labels))
        counts = [count(reference[..., i], predicted[..., i]) for i in range(len(scheme.predicted))]
        found.append({region: float(dice(one, RULE)) for region, one in zip(scheme.predicted, counts, strict=True)})
        if keep_first is not None and len(found) == 1:
            keep_first(labels, found[0])
    return found


def mean_by_region(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean over cases, one or more, of the scores of each region."""
    return {region: float(np.mean([case[region] for case in scores])) for region in scores[0]}

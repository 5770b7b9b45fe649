"""Ensemble prediction of one case by several networks and mirrorings: mean probabilities and agreement."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.preprocess import Preparation, Prepared


class Member(Protocol):
    """A network of an ensemble; see `network.Network`."""

    @property
    def preparation(self) -> Preparation:
        """How its input scans must be prepared."""

    def members(self, image: np.ndarray) -> Iterator[np.ndarray]:
        """Region probabilities (X, Y, Z, R) of a prepared image, one array per mirroring."""


@dataclass(frozen=True)
class Share:
    """Prediction of all networks that share one preparation, on the prepared grid.

    Attributes:
        weight: Number of these networks divided by the number of all networks.
        mean: Mean region probabilities, float32 (X, Y, Z, R).
        votes: Number of predictions of 0.5 or more at each voxel, float32 (X, Y, Z, R); None if the whole ensemble is a
            single prediction.
        grid: Maps the prepared grid to the case's own grid.
    """

    weight: float
    mean: np.ndarray
    votes: np.ndarray | None
    grid: Grid


@dataclass(frozen=True)
class EnsemblePrediction:
    """Prediction of one case by an ensemble.

    Attributes:
        shares: One entry per preparation.
        members: Number of predictions: networks times mirrorings.
    """

    shares: tuple[Share, ...]
    members: int

    def probabilities(self) -> np.ndarray:
        """Mean region probabilities, float32 (X, Y, Z, R), on the case's own grid; 0 outside the brain's box."""
        total: np.ndarray | None = None
        for share in self.shares:
            mean = share.grid.to_case(share.mean)
            if len(self.shares) > 1:
                mean = mean * np.float32(share.weight)
            total = mean if total is None else total + mean
        assert total is not None
        return total

    def agreement(self) -> np.ndarray | None:
        """Agreement of the single predictions per region: the Dice of all pairs of them; see `pairwise_dice`.

        Returns:
            float64 (R,), from 0 to 1, NaN if no prediction has the region; None for a single prediction.
        """
        if self.members < 2:
            return None
        votes: np.ndarray | None = None
        for share in self.shares:
            assert share.votes is not None
            more = share.votes if len(self.shares) == 1 else share.grid.to_case(share.votes)
            votes = more if votes is None else votes + more
        assert votes is not None
        return pairwise_dice(votes, self.members)


def pairwise_dice(votes: np.ndarray, members: int) -> np.ndarray:
    """Dice over all pairs of masks: the sum of 2 |A and B| over all pairs divided by the sum of |A| + |B|.

    Args:
        votes: Number of masks that contain each voxel, shape (X, Y, Z, R).
        members: Number of masks, 2 or more.

    Returns:
        float64 (R,), from 0 to 1; NaN if all masks of a region are empty.
    """
    votes = votes.reshape(-1, votes.shape[-1])
    single = votes.sum(axis=0, dtype=np.float64)
    both = (votes * np.maximum(votes - 1, 0)).sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return both / (single * (members - 1))


def predict_ensemble(networks: Sequence[Member], prepared: Mapping[Preparation, Prepared]) -> EnsemblePrediction:
    """Predict one case. Every network has the same weight, and so has every mirroring within a network.

    Args:
        networks: One or more networks.
        prepared: The case, prepared once for each preparation that the networks need.
    """
    groups: dict[Preparation, list[Member]] = {}
    for network in networks:
        groups.setdefault(network.preparation, []).append(network)
    shares = []
    members = 0
    for preparation, group in groups.items():
        case = prepared[preparation]
        mean: np.ndarray | None = None
        votes: np.ndarray | None = None
        for network in group:
            own: np.ndarray | None = None
            count = 0
            for probabilities in network.members(case.image):
                count += 1
                own = _added(own, probabilities)
                votes = _added(votes, (probabilities >= 0.5).astype(np.float32))
            assert own is not None
            members += count
            if count > 1:
                own /= count
            mean = _added(mean, own)
        assert mean is not None and votes is not None
        if len(group) > 1:
            mean /= len(group)
        shares.append((len(group) / len(networks), mean, votes, case.grid))
    return EnsemblePrediction(tuple(Share(w, m, v if members > 1 else None, g) for w, m, v, g in shares), members)


def _added(total: np.ndarray | None, more: np.ndarray) -> np.ndarray:
    if total is None:
        return np.array(more, np.float32)  # a copy, because later arrays are added in place
    total += more
    return total

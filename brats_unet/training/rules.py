"""Versions of the rules by which a run is trained: an older run goes on by its own rules, to the last bit.

What a setting says is not here; these are the rules that no setting names. A run without a version has version 1.
Prediction is the same by every version so far.
"""

from dataclasses import dataclass

NEWEST = 2


@dataclass(frozen=True)
class Rules:
    """Rules of one version.

    Attributes:
        corner_labels: Heads of deep supervision learn the label at the corner of their block, see `deep_supervision`.
        blocks_from_zero: The last scale of each residual block starts at 0 instead of 1, see `blocks.residual_stage`.
        keras_momentum: SGD has Keras's own momentum instead of PyTorch's, see `sgd.SGD`.
        best_by_volumes: Whole held-out volumes choose the checkpoint "best", and no patches are measured during
            training, whatever `validation.patches_every` is; see `pseudo_dice`.
    """

    corner_labels: bool
    blocks_from_zero: bool
    keras_momentum: bool
    best_by_volumes: bool


VERSIONS = {
    1: Rules(corner_labels=True, blocks_from_zero=False, keras_momentum=True, best_by_volumes=True),
    NEWEST: Rules(corner_labels=False, blocks_from_zero=True, keras_momentum=False, best_by_volumes=False),
}


def rules_of(version: int | None) -> Rules:
    """The rules of a version that `settings.Train.rules` allows; None for the newest."""
    return VERSIONS[NEWEST if version is None else version]

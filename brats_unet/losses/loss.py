"""What every loss is: a function of logits and labels, and what the logits stand for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from brats_unet.anatomy import CLASSES, Region

Tensor = Any  # of whatever backend Keras runs on
Outputs = Literal["regions", "labels"]


@dataclass(frozen=True)
class Loss:
    """What a network is trained on.

    Attributes:
        outputs: What the logits stand for: "regions" (WT, TC, ET, each a sigmoid) or "labels" (`anatomy.CLASSES`, a
            softmax). Inference turns both into region probabilities.
        per_sample: Function of the logits, any float type, shape (B, X, Y, Z, K) or (B, X, Y, K), and the label maps,
            integers of `anatomy.Label` (not one-hot), same shape without K. Returns (B,) float32; lower is better.
    """

    outputs: Outputs
    per_sample: Callable[[Tensor, Tensor], Tensor]

    @property
    def logits(self) -> int:
        """Number of logits per voxel: K above."""
        return {"regions": len(Region), "labels": len(CLASSES)}[self.outputs]

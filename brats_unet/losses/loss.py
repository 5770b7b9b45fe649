"""What every loss is: a function of logits and masks, and what the logits stand for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Tensor = Any  # of whatever backend Keras runs on
Outputs = Literal["regions", "labels"]


@dataclass(frozen=True)
class Loss:
    """What a network is trained on.

    Attributes:
        outputs: What the logits stand for: "regions" (the predicted regions of the scheme, each a sigmoid) or "labels"
            (background and the classes of the scheme, a softmax). Inference turns both into region probabilities.
        per_sample: Function of the logits, any float type, shape (B, X, Y, Z, K) or (B, X, Y, K), and the masks that
            they stand for, float32, same shape, 0 or 1; for "labels" they are one-hot, the background first. Returns
            (B,) float32; lower is better.
    """

    outputs: Outputs
    per_sample: Callable[[Tensor, Tensor], Tensor]

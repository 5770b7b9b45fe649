"""Compare SGD under a falling rate, and the labels of coarser heads, with nnU-Net's own.

    .venv/bin/python scripts/parity/training_parity.py      # needs .venv-peers (make peers)

For strided convolutions, TensorFlow pads after the image and PyTorch before it: the networks are mirror images of each
other. So nnU-Net's transform gets the labels reversed along x, y and z, and its results are reversed back.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
SPACE = (slice(None, None, -1),) * 3
STRIDES = [(2, 2, 2), (4, 4, 4), (8, 8, 8), (4, 2, 1), (8, 4, 2)]
STEPS = 60


def our_weights(start: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Weights after one update for each gradient, by `experiment=nnunet`'s optimizer and schedule."""
    import keras

    from brats_unet.training.optimizers import sgd
    from brats_unet.training.schedules import SCHEDULES

    optimizer, schedule = sgd(), SCHEDULES["polynomial"]()
    weights = keras.Variable(start, name="weights")
    optimizer.rule.build([weights])
    for step, gradient in enumerate(gradients):
        optimizer.rule.learning_rate.assign(optimizer.learning_rate * schedule(step, len(gradients)))
        optimizer.rule.apply([gradient + optimizer.coupled_decay * weights.numpy()], [weights])
    return weights.numpy()


def our_labels(labels: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """The labels that a head with these strides is compared with."""
    from brats_unet.losses.compound import deep_supervision
    from brats_unet.losses.loss import Loss
    from brats_unet.schemes.scheme_file import builtin

    seen = []
    scheme = builtin()
    spy = Loss("regions", lambda logits, masks: (seen.append(np.asarray(masks) > 0), np.zeros(1, np.float32))[1])
    edges = [edge // stride for edge, stride in zip(labels.shape, strides, strict=True)]
    deep_supervision(spy, [np.zeros((1, *shape, 3)) for shape in (labels.shape, edges)], labels[None], scheme=scheme)
    return scheme.labels_from_masks(seen[1][0])


def main() -> int:
    sys.path.insert(0, str(ROOT))
    rng = np.random.default_rng(0)
    given = {
        "labels": rng.choice([0, 1, 2, 4], (24, 32, 40)).astype("int16"),
        "strides": np.array(STRIDES),
        "start": rng.normal(size=1000).astype("float32"),
        "gradients": rng.normal(size=(STEPS, 1000)).astype("float32"),
    }
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "in.npz", **{**given, "labels": np.ascontiguousarray(given["labels"][SPACE])})
        peer = [ROOT / ".venv-peers/bin/python", ROOT / "scripts/parity/peers/training.py", folder]
        subprocess.run(peer, check=True)
        theirs = dict(np.load(Path(folder) / "out.npz", allow_pickle=False))
    ours = our_weights(given["start"], given["gradients"])
    difference, moved = np.abs(ours - theirs["weights"]).max(), np.abs(ours - given["start"]).max()
    print(f"SGD, {STEPS} steps, falling rate: largest difference {difference:.1e}; the weights moved up to {moved:.2f}")
    unequal = 0
    for index, strides in enumerate(STRIDES):
        wrong = int((our_labels(given["labels"], strides) != theirs[f"labels_{index}"][SPACE]).sum())
        print(f"labels at strides {strides}: {wrong} of {theirs[f'labels_{index}'].size} differ")
        unequal += wrong
    return 0 if difference < 1e-5 * moved and not unequal else 1


if __name__ == "__main__":
    sys.exit(main())

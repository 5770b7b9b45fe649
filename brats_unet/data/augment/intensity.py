"""Transforms of intensities: noise, blur, brightness, contrast, resolution, gamma.

Voxels outside the brain, where all modalities are exactly 0, are set to 0 again after each of them. Statistics are over
the whole patch, as published. Parameters are drawn for as many modalities as BraTS has and used for those present.

Source:
    batchgeneratorsv2 0.3.6, as nnU-Net 2.8 calls it; the order is nnU-Net's.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

from keras import ops

from brats_unet.data.augment.options import Blur, Factors, Gamma, LowResolution, Noise, Shift
from brats_unet.data.augment.transform import Parameters, Sample, Tensor, Transform, around_1, between
from brats_unet.modality import Modality

M = len(Modality)  # channels that uniform numbers are drawn for; `Transform.for_channels` adds those of more
TRUNCATE = 6  # width of a blur's kernel, in sigmas
Change = Callable[[Tensor, Parameters, Tensor], Tensor]


def within_brain(change: Change) -> Callable[[Tensor, Tensor, Parameters, Tensor], Sample]:
    """Make the `apply` of a transform from `change`, which takes and returns the image in float32."""

    def apply(image: Tensor, labels: Tensor, parameters: Parameters, normals: Tensor) -> Sample:
        brain = image[..., :1] != 0
        for channel in range(1, image.shape[-1]):
            brain = brain | (image[..., channel : channel + 1] != 0)
        changed = change(ops.cast(image, "float32"), parameters, normals)
        return ops.cast(ops.where(brain, changed, 0.0), image.dtype), labels

    return apply


def gaussian_noise(noise: Noise) -> Transform:
    """Add normal noise of one sigma, which nnU-Net calls variance, to every voxel of every modality."""

    def draw(u: Tensor) -> Parameters:
        return {"drawn": u[:, 0] < noise.probability, "sigma": between(u[:, 1], noise.sigma)}

    def change(image: Tensor, parameters: Parameters, normals: Tensor) -> Tensor:
        return image + parameters["sigma"] * normals

    return Transform("noise", 2, draw, within_brain(change), normals=lambda shape: shape)


def gaussian_blur(blur: Blur) -> Transform:
    """Blur each modality that is chosen, with its own sigma along each axis; reflected at the edge of the patch."""
    reach = math.ceil((TRUNCATE * blur.sigma[1] + 1.5) / 2)

    def draw(u: Tensor) -> Parameters:
        m = u.shape[1] // 4
        taken = u[:, 1 : 1 + m] < blur.per_channel
        sigma = ops.reshape(between(u[:, 1 + m :], blur.sigma), (-1, m, 3))
        return {"drawn": (u[:, 0] < blur.probability) & ops.any(taken, axis=1), "taken": taken, "sigma": sigma}

    def change(image: Tensor, parameters: Parameters, normals: Tensor) -> Tensor:
        kernels = [blur_matrices(n, parameters["sigma"][:, axis], reach) for axis, n in enumerate(image.shape[:3])]
        return mixed(image, kernels, parameters["taken"])

    return Transform("blur", 1 + 4 * M, draw, within_brain(change), per_channel=4)


def brightness(factors: Factors) -> Transform:
    """Multiply each modality by its own factor."""

    def change(image: Tensor, parameters: Parameters, normals: Tensor) -> Tensor:
        return image * parameters["factors"][: image.shape[-1]]

    return _by_factors("brightness", factors.probability, factors.factors, change)


def contrast(factors: Factors) -> Transform:
    """Multiply the distance from the mean of each modality by a factor; clip to its original range."""

    def change(image: Tensor, parameters: Parameters, normals: Tensor) -> Tensor:
        mean = mean_of(image)
        low, high = ops.min(image, axis=(0, 1, 2)), ops.max(image, axis=(0, 1, 2))
        spread = (image - mean) * parameters["factors"][: image.shape[-1]] + mean
        return ops.minimum(ops.maximum(spread, low), high)

    return _by_factors("contrast", factors.probability, factors.factors, change)


def gamma(options: Gamma) -> Transform:
    """Raise each modality, scaled to 0 to 1, to the power of an exponent; keep its mean and standard deviation."""
    return _gamma("gamma", options, 1.0)


def inverted_gamma(options: Gamma) -> Transform:
    """Apply `gamma` to the negative image."""
    return _gamma("gamma_inverted", options, -1.0)


def _gamma(name: str, options: Gamma, sign: float) -> Transform:

    def change(image: Tensor, parameters: Parameters, normals: Tensor) -> Tensor:
        image = sign * image
        low, mean = ops.min(image, axis=(0, 1, 2)), mean_of(image)
        extent = ops.max(image, axis=(0, 1, 2)) - low
        curved = (image - low) / ops.maximum(extent, 1e-7)
        # faster than a power as compilers write it; 0 stays 0
        curved = ops.exp(parameters["factors"][: image.shape[-1]] * ops.log(ops.maximum(curved, 1e-30)))
        curved = curved * extent + low
        now = mean_of(curved)
        scale = deviation_of(image, mean) / ops.maximum(deviation_of(curved, now), 1e-7)
        return sign * ((curved - now) * scale + mean)

    return _by_factors(name, options.probability, options.exponents, change)


def shift(options: Shift) -> Transform:
    """Add a normal number to each modality that is chosen (additive brightness)."""

    def draw(u: Tensor) -> Parameters:
        m = u.shape[1] // 3
        taken = u[:, 1 : 1 + m] < options.per_channel
        radius = ops.sqrt(-2 * ops.log(1 - u[:, 1 + m : 1 + 2 * m]))
        normal = radius * ops.cos(2 * math.pi * u[:, 1 + 2 * m :])  # Box-Muller transform
        drawn = (u[:, 0] < options.probability) & ops.any(taken, axis=1)
        return {"drawn": drawn, "shift": ops.where(taken, options.sigma * normal, 0.0)}

    def change(image: Tensor, parameters: Parameters, normals: Tensor) -> Tensor:
        return image + parameters["shift"][: image.shape[-1]]

    return Transform("shift", 1 + 3 * M, draw, within_brain(change), per_channel=3)


def low_resolution(options: LowResolution, in_plane: bool = False) -> Transform:
    """Resample each modality that is chosen to a coarser grid (nearest voxel) and back (linear).

    With `in_plane`, the slices stay as many as they are.
    """

    def draw(u: Tensor) -> Parameters:
        m = u.shape[1] // 2
        taken = u[:, 1 : 1 + m] < options.per_channel
        drawn = (u[:, 0] < options.probability) & ops.any(taken, axis=1)
        return {"drawn": drawn, "taken": taken, "zoom": between(u[:, 1 + m :], options.zoom)}

    def change(image: Tensor, parameters: Parameters, normals: Tensor) -> Tensor:
        zooms = [
            parameters["zoom"],
            parameters["zoom"],
            ops.ones_like(parameters["zoom"]) if in_plane else parameters["zoom"],
        ]
        matrices = [coarse_matrices(n, zoom) for n, zoom in zip(image.shape[:3], zooms, strict=True)]
        return mixed(image, matrices, parameters["taken"])

    return Transform("low_resolution", 1 + 2 * M, draw, within_brain(change), per_channel=2)


def modality_dropout(probability: float) -> Transform:
    """Set each modality to 0 with `probability`, but never all: the one with the largest number stays."""

    def draw(u: Tensor) -> Parameters:
        return {"drawn": ops.any(u < probability, axis=1), "numbers": u}

    def apply(image: Tensor, labels: Tensor, parameters: Parameters, normals: Tensor) -> Sample:
        numbers = parameters["numbers"][: image.shape[-1]]
        kept = (numbers >= probability) | (numbers == ops.max(numbers))
        return ops.where(kept, image, ops.zeros((), image.dtype)), labels

    return Transform("modality_dropout", M, draw, apply, per_channel=1)


def _by_factors(name: str, probability: float, ends: Sequence[float], change: Change) -> Transform:
    def draw(u: Tensor) -> Parameters:
        m = u.shape[1] // 2
        return {"drawn": u[:, 0] < probability, "factors": around_1(u[:, 1 : 1 + m], u[:, 1 + m :], ends)}

    return Transform(name, 1 + 2 * M, draw, within_brain(change), per_channel=2)


def mean_of(image: Tensor) -> Tensor:
    """Mean of each modality, (M,) for (X, Y, Z, M): one axis at a time, as one sum of 2 million float32 is inexact."""
    return ops.mean(ops.mean(ops.mean(image, axis=2), axis=1), axis=0)


def deviation_of(image: Tensor, mean: Tensor) -> Tensor:
    """Standard deviation of each modality around `mean`, both (M,)."""
    return ops.sqrt(mean_of(ops.square(image - mean)))


def mixed(image: Tensor, matrices: Sequence[Tensor], taken: Tensor) -> Tensor:
    """Apply a linear filter along each axis of the modalities that are chosen; leave the others unchanged.

    A filter along an axis, with its treatment of the edges, is one matrix. Matrix products are fast on every device,
    convolutions of single channels are not.

    Args:
        image: float32, shape (X, Y, Z, M).
        matrices: For each axis of length n, shape (M, n, n); row i has the weights of all voxels in voxel i.
        taken: Modalities to filter, bool, shape (M,).
    """
    x, y, z, channels = image.shape

    def mix(channel: int) -> Tensor:
        along_x, along_y, along_z = (matrix[channel] for matrix in matrices)
        volume = ops.matmul(ops.reshape(image[..., channel], (x * y, z)), ops.transpose(along_z))
        volume = ops.reshape(ops.matmul(along_x, ops.reshape(volume, (x, y * z))), (x, y, z))
        return ops.matmul(ops.broadcast_to(along_y[None], (x, y, y)), volume)

    found = [ops.cond(taken[c], partial(mix, c), lambda c=c: image[..., c]) for c in range(channels)]
    return ops.stack(found, axis=-1)


def blur_matrices(n: int, sigma: Tensor, reach: int) -> Tensor:
    """Matrices of a Gaussian cut off at TRUNCATE / 2 sigmas, reflected at the ends; float32 (M, n, n).

    Args:
        n: Voxels along the axis.
        sigma: Sigma of each modality in voxels, shape (M,).
        reach: Half-width of the largest kernel, which has 2 reach + 1 voxels.
    """
    width = TRUNCATE * sigma + 0.5
    rounded = ops.round(width)
    odd = ops.where(ops.mod(rounded, 2) == 1, rounded, ops.where(width >= rounded, rounded + 1, rounded - 1))
    offsets = ops.arange(-reach, reach + 1)  # (K,)
    distance = ops.cast(ops.abs(offsets), "float32")
    weights = ops.exp(-0.5 * ops.square(distance / sigma[:, None]))  # (M, K)
    weights = ops.where(distance <= (odd[:, None] - 1) / 2, weights, 0.0)
    weights = weights / ops.sum(weights, axis=1, keepdims=True)
    here = ops.arange(n)
    there = ops.abs(ops.mod(here + offsets[:, None] + n - 1, max(1, 2 * (n - 1))) - (n - 1))  # (K, n)
    one_hot = ops.cast(there[..., None] == here, "float32")  # (K, n, n)
    return ops.reshape(ops.matmul(weights, ops.reshape(one_hot, (-1, n * n))), (-1, n, n))


def coarse_matrices(n: int, zoom: Tensor) -> Tensor:
    """Matrices that resample n voxels to round(zoom n) (nearest) and back (linear); float32 (M, n, n) for `zoom` (M,).

    Voxel centres as in torch's "nearest-exact" and in "trilinear" without aligned corners.
    """
    coarse = ops.maximum(ops.round(zoom * n), 1.0)[:, None]  # (M, 1)
    here = ops.arange(n, dtype="float32")
    place = ops.maximum((here[None, :] + 0.5) * coarse / n - 0.5, 0.0)  # (M, n) on the coarse grid
    low = ops.floor(place)
    fraction = place - low
    found = 0.0
    for node, weight in ((low, 1 - fraction), (ops.minimum(low + 1, coarse - 1), fraction)):
        source = ops.minimum(ops.floor((node + 0.5) * n / coarse), n - 1.0)
        found = found + weight[..., None] * ops.cast(source[..., None] == here, "float32")
    return found

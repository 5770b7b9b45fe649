"""nnU-Net's augmentation, and its da and da_star: the same transforms with other values, which stand in conf/."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from brats_unet.binding import value_of
from brats_unet.data.augment import intensity, options
from brats_unet.data.augment.augmentation import Augmentation, with_dropout
from brats_unet.data.augment.mirror import mirroring
from brats_unet.data.augment.spatial import Margin, flat_axes, spatial
from brats_unet.data.augment.transform import Transform
from brats_unet.parts import contract_options


@contract_options({}, {"modality_dropout": 0.2})
def full(
    *,
    rotation: Mapping[str, Any],
    scaling: Mapping[str, Any],
    elastic: Mapping[str, Any],
    mirror: Mapping[str, Any],
    noise: Mapping[str, Any],
    blur: Mapping[str, Any],
    brightness: Mapping[str, Any],
    contrast: Mapping[str, Any],
    low_resolution: Mapping[str, Any],
    gamma_inverted: Mapping[str, Any],
    shift: Mapping[str, Any],
    gamma: Mapping[str, Any],
    in_plane: bool = False,
    modality_dropout: float = 0.0,
) -> Augmentation:
    """All transforms in nnU-Net's order: spatial, noise, intensities, mirroring, missing modalities.

    Each argument is a section with the fields of its dataclass in `options`; conf/augmentation has the values of the
    published recipes. A transform of probability 0 takes no time. With `in_plane`, samples are rotated, scaled,
    deformed and lowered in resolution within their axial slices, all slices alike, for volumes of thick slices
    (nnU-Net's `do_dummy_2d_data_aug`). For `modality_dropout` see `augmentation.with_dropout`.
    """
    turned = options.section(options.Rotation, "rotation", rotation)
    scaled = options.section(options.Scaling, "scaling", scaling)
    deformed = options.section(options.Elastic, "elastic", elastic)
    mirrored = options.section(options.Mirror, "mirror", mirror)
    values: tuple[tuple[Any, Callable[[Any], Transform]], ...] = (
        (options.section(options.Noise, "noise", noise), intensity.gaussian_noise),
        (options.section(options.Blur, "blur", blur), intensity.gaussian_blur),
        (options.section(options.Factors, "brightness", brightness), intensity.brightness),
        (options.section(options.Factors, "contrast", contrast), intensity.contrast),
        (
            options.section(options.LowResolution, "low_resolution", low_resolution),
            lambda part: intensity.low_resolution(part, in_plane),
        ),
        (options.section(options.Gamma, "gamma_inverted", gamma_inverted), intensity.inverted_gamma),
        (options.section(options.Shift, "shift", shift), intensity.shift),
        (options.section(options.Gamma, "gamma", gamma), intensity.gamma),
    )
    in_plane = value_of(bool, in_plane, "augmentation.in_plane")
    moves = max(turned.probability, scaled.probability, deformed.probability) > 0
    augmentation = Augmentation(
        rest=(*(transform(part) for part, transform in values if part.probability > 0), mirroring(mirrored)),
        spatial=(lambda margin: spatial(turned, scaled, deformed, mirrored, margin, in_plane)) if moves else None,
        reach=lambda patch: reach(patch, turned, scaled, deformed, in_plane),
    )
    return with_dropout(augmentation, modality_dropout)


def reach(
    patch: Sequence[int],
    rotation: options.Rotation,
    scaling: options.Scaling,
    elastic: options.Elastic,
    in_plane: bool = False,
) -> Margin:
    """Voxels to read beyond the patch on each side: the extent of the patch rotated about one axis, times the square
    root of the largest factor, as in nnU-Net (205 voxels for 128). 0 along a flat axis.

    Three angles and the factor together can reach further. Reading all of that would take twice as many voxels, for
    the corners of one sample in a hundred.
    """
    most = min(45.0, max(abs(d) for d in rotation.degrees)) if rotation.probability else 0.0
    angle = math.radians(most)
    factor = math.sqrt(max(1.0, scaling.factors[1])) if scaling.probability else 1.0
    pushed = elastic.smoothness[1] * elastic.magnitude[1] / 2 if elastic.probability else 0.0
    flat = flat_axes(patch, in_plane)
    found = []
    for axis, n in enumerate(patch):
        other = max((m for i, m in enumerate(patch) if i != axis and not flat[i]), default=0)
        extent = (n * math.cos(angle) + other * math.sin(angle)) * factor + 2 * pushed * n
        found.append(0 if flat[axis] else max(0, math.ceil((extent - n) / 2)))
    return found[0], found[1], found[2]

"""The recipe of a run with all that a recipe must hold."""

RECIPE = {
    "model": {"name": "unet3d"},
    "outputs": "regions",
    "logits": 3,
    "stride": [2, 2, 2],
    "preparation": {"modalities": ["flair"], "spacing_mm": None, "crop": "brain", "normalise": "zscore"},
    "inference": {"mode": "tiles", "tile": [8, 8, 8], "overlap": 0.5},
    "convention": "brats2017",
    "precision": "float32",
}

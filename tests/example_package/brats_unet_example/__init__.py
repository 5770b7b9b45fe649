"""A network, a loss, a metric and an augmentation for brats-unet, one file each."""

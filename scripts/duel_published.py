"""The U-Net of Buda et al. 2019 for scripts/duel.py --published, as settings of `brats-unet train` for data=lgg.

Source: Buda, Saha, Mazurowski 2019, doi:10.1016/j.compbiomed.2019.05.002; its author's code for the same data,
mateuszbuda/brain-segmentation-pytorch. From there: 32 to 512 features, batch normalisation, ReLU, one Dice over the
batch with 1 added to numerator and denominator, Adam with a constant rate of 1e-4, 16 whole slices of 256 x 256 in a
step, ten of eleven drawn by the area of their tumour, rotation by up to 15 degrees, scaling by up to 5 %, left-right
flips, and the largest component of a volume kept.

Different here: strided convolutions instead of max-pooling; gradients are clipped at a norm of 12; intensities are
normalised to mean 0 and standard deviation 1 inside the head, without cutting percentiles first; slices are cropped to
the head and padded to 256 x 256, not resized; the last weights are taken, not those that score best on the held-out
cases; the first and the last slice of a volume are used; a missing sequence is 0, not a copy of FLAIR. It trains as
long as the other sides, not for 100 epochs. The skull is not stripped. The paper's own network, in mateuszbuda/brain-
segmentation, has a rate of 1e-5, 32 slices in a step, no augmentation switched on, its batch normalisation switched
off, and stripped skulls.
"""

PUBLISHED = (
    "experiment=none",
    "data=lgg",
    "model=unet2d",
    "model.features=[32,64,128,256,512]",
    "model.norm=batch",
    "+model.slope=0",
    "model.deep_supervision=false",
    "loss=region_dice",
    "loss.batch_dice=true",
    "loss.smooth=1",
    "optimizer=adam",
    "optimizer.learning_rate=1e-4",
    "schedule=constant",
    "sampling.patch=[256,256,1]",
    "sampling.batch=16",
    "sampling.foreground=0.909",
    "augmentation=nnunet",
    "augmentation.rotation.probability=1",
    "augmentation.rotation.degrees=[-15,15]",
    "augmentation.scaling.probability=1",
    "augmentation.scaling.factors=[0.95,1.05]",
    "augmentation.mirror.axes=[0]",
    "augmentation.noise.probability=0",
    "augmentation.blur.probability=0",
    "augmentation.brightness.probability=0",
    "augmentation.contrast.probability=0",
    "augmentation.low_resolution.probability=0",
    "augmentation.gamma_inverted.probability=0",
    "augmentation.gamma.probability=0",
    "inference.mode=whole",
    "validation.cases=0",
)
LARGEST_ONLY = {"largest_only": {"lesion": True}}

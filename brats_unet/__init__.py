"""Train, evaluate and run U-Nets for brain-tumour segmentation in MRI, from the command line."""

__version__ = "0.1.0"

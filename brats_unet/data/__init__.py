"""From a folder of scans to batches: readers, labels, preparation, patches, augmentation, folds and phantoms."""

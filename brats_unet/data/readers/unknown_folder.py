"""What a folder without recognised cases holds, and what to do, in words."""

from collections import Counter

from brats_unet.data.readers.pattern_guess import guessed_settings
from brats_unet.data.readers.tree import Tree
from brats_unet.modality import Modality
from brats_unet.scan_formats import Foreign, foreign

LOOKED_AT = 50  # files without a known ending whose first bytes are read


def nothing_recognised(tree: Tree, *, slices: bool = False, key: str = "data.files") -> str:
    """What a folder without recognised cases holds and what to do; the message text that follows its path."""
    kind, wanted = "NIfTI", "Expected BraTS file names (<case>_flair.nii.gz or <case>-t2f.nii.gz) or a folder imagesTr."
    names = f"{'data=files ' if key.startswith('data.') else ''}{key}.flair='*_FLAIR.nii.gz'"
    if slices:
        kind, wanted = "TIFF", "Expected <patient>/<patient>_<n>.tif and <patient>_<n>_mask.tif."
    if tree.files:
        seen = ", ".join(file.path.relative_to(tree.root).as_posix() for file in tree.files[:3])
        settings = guessed_settings(tree, key, tuple(Modality))
        way = f"These settings may read it: {settings}" if settings else f"Or give patterns: {names} …"
        return f"{len(tree.files)} scans or masks, none named like a scan of a case ({seen}, …). {wanted} {way}"
    found = _foreign_files(tree)
    if found:
        (what, ending), count = found.most_common(1)[0]
        return f"no {kind} file, but {count} {what.many} ({ending}). {what.way or wanted}"
    if tree.deeper:
        nearer = f"Folders below five levels were not searched (such as {tree.deeper[0].relative_to(tree.root)})."
        return f"no {kind} file up to five folders deep. {nearer} Give a folder nearer to the cases. {wanted}"
    return f"no {kind} file up to five folders deep. {wanted}"


def _foreign_files(tree: Tree) -> Counter[tuple[Foreign, str]]:
    """Number of files by what they are, if it is known, and by their ending, or name if they have none."""
    found: Counter[tuple[Foreign, str]] = Counter()
    for ending, count in tree.others.most_common(LOOKED_AT):
        if what := foreign(tree.first[ending]):
            found[what, ending if ending.startswith(".") else "without an ending"] += count
    return found

"""Hashes of a case: of its content, and of all that its prepared arrays depend on, which is its key in the cache."""

import hashlib
import json
from typing import Any

from brats_unet.data.prepare.content_hash import HashMemo
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.schemes.convention import Convention, conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Case


def case_key(case: Case, preparation: Preparation, convention: Convention, memo: HashMemo) -> str:
    """Hash of the case's files, the preparation, the scheme and the label convention: 16 hexadecimal digits.

    With a convention of glioma it is what it was before there were schemes, so that older caches stay valid.
    """
    files = [case.images.get(modality) for modality in preparation.modalities]
    contents = [file and [memo.hash(file.path), file.channel, *(file.spacing_mm or ())] for file in files]
    mask = memo.hash(case.mask) if case.mask else None
    facts = [contents, mask, convention.name, preparation.as_dict()]
    if (meaning := _meaning(convention)) != _meaning(conventions(builtin()).get(convention.name)):
        facts.append(meaning)
    text = json.dumps(facts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def case_content(case: Case, memo: HashMemo) -> str:
    """Hash of the content of a case's scans and mask, wherever they are: 32 hexadecimal digits."""
    scans = sorted((str(modality), memo.hash(file.path), file.channel) for modality, file in case.images.items())
    text = json.dumps([scans, memo.hash(case.mask) if case.mask else None])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _meaning(convention: Convention | None) -> dict[str, Any] | None:
    """What prepared labels depend on; None for no convention."""
    if convention is None:
        return None
    scheme = convention.scheme
    return {"labels": convention.to_label, "regions": [[name, scheme.values(name)] for name in scheme.predicted]}

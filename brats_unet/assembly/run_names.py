"""The name of a run folder, made of the settings that tell runs apart."""

import hashlib
import re
from pathlib import Path

from brats_unet.data.read_only import refuse_writing_into_data
from brats_unet.settings import Train

LONGEST_TAG = 48  # characters; a longer one is cut, and told apart by a hash
SETTINGS = re.compile(r",(?=[+~]*[A-Za-z_][\w./@-]*=)")  # the commas between the settings of a tag
NUMBERS = re.compile(r"\[[\d., -]*\]")
SAYS_NOTHING = {"true", "false", "null", "none", "auto", "all"}  # values that need the name of their setting


def run_folder(settings: Train) -> Path:
    """The folder of a training; see `named_folder`."""
    return named_folder(settings, f"fold{settings.data.fold}")


def named_folder(settings: Train, held_out: str) -> Path:
    """`runs/<name>[-<tag>]`; the default name is made of experiment or plan, data, what is held out and seed.

    Raises:
        SettingsError: `runs` lies in the data.
    """
    data = settings.data
    refuse_writing_into_data((data.root, data.validation_root), {"runs": settings.runs})
    recipe = Path(settings.plan).stem if settings.plan else settings.experiment
    name = settings.name or f"{recipe}-{data.name}-{held_out}-seed{settings.seed}"
    if settings.tag:
        name = f"{name}-{short_tag(settings.tag)}"
    return Path(settings.runs) / name


def short_tag(tag: str) -> str:
    """A tag as part of a folder name, without `=`, brackets, commas, blanks and slashes.

    A choice is named by its value and a number by the last word of its setting and its value, so that
    `loss=region_dice,optimizer.rate=0.01` becomes `region_dice-rate0.01`. A tag that is long, or holds more than such
    values, ends in six hexadecimal digits that identify it.

    Args:
        tag: The settings that a sweep varied, or any text. Not empty.
    """
    texts = [_short(one) for one in SETTINGS.split(tag)]
    name = "-".join(re.sub(r"[^\w.+-]+", "-", text).strip("-") for text in texts)
    whole = all(re.fullmatch(r"[\w.+-]+(, ?[\d.-]+)*", text) for text in texts)
    if whole and len(name) <= LONGEST_TAG:
        return name
    digits = hashlib.blake2b(tag.encode(), digest_size=3).hexdigest()
    return f"{name[: LONGEST_TAG - 7].rstrip('-.')}-{digits}".lstrip("-")


def _short(setting: str) -> str:
    key, equals, value = setting.partition("=")
    if not equals:
        return setting.strip()
    value = value.strip().strip("'\"")
    if value[:1].isalpha() and value.lower() not in SAYS_NOTHING:
        return value
    if NUMBERS.fullmatch(value):
        value = value[1:-1]
    return key.lstrip("+~").replace("/", ".").rsplit(".", 1)[-1] + value

"""The parts of a scheme: labels and regions, each with its words and looks."""

from dataclasses import dataclass
from typing import Literal

Outline = Literal["solid", "dashed", "dotted", "dashdot"]


@dataclass(frozen=True)
class Tissue:
    """One label of a scheme.

    Attributes:
        name: Short name, such as "ET".
        value: The integer that stands for it in memory and in the cache, 1 to 254; files may use another.
        words: What it is, in words.
        also: Regular expression of its names in dataset.json.
    """

    name: str
    value: int
    words: str
    also: str


@dataclass(frozen=True)
class Region:
    """A union of labels that is predicted or scored.

    Attributes:
        name: Short name, such as "WT".
        labels: Names of its labels.
        words: What it is, in words.
        colour: Of its outlines and curves, "#rrggbb".
        outline: Line style, so that regions are told apart without colour vision too.
        seen_on: The modality that shows it best.
        also: Regular expression of its names in dataset.json.
    """

    name: str
    labels: tuple[str, ...]
    words: str
    colour: str
    outline: Outline
    seen_on: str
    also: str

"""What a metric is: one record of its function, unit, range, direction, rule for empty masks, definition, source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

BY_PROTOCOL = "by protocol"  # `when_empty` of a metric whose rule is the protocol's, in its field `Metric.rule`
SHARE, POSITIVE, COUNT, ANY = "0 to 1", "≥ 0", "0, 1, 2, …", "any"  # ranges
MM = ("mm", "mm2", "mm3", "mL", "ml")  # units that need the size of a voxel
BETTER = ("high", "low", "near 0", "–")


@dataclass(frozen=True)
class Metric:
    """One score of one region of one case.

    Attributes:
        name: Name in scores.csv and summary.json.
        function: Takes a `pair.MaskPair` and returns a float; with `per_tolerance` also the keyword `tolerance_mm`. The
            two calibration scores take the reference mask and the region's probabilities instead.
        unit: "mm", "mm3", …; "1" for a share.
        range: Values that it can take, in words; `SHARE` and `POSITIVE` are checked when scores are read.
        better: "high", "low", "near 0", or "–" if neither direction is better.
        definition: One or two sentences for a reader, with the formula if there is one.
        source: Where the definition comes from.
        when_empty: Value if a mask is empty, in words; `BY_PROTOCOL` if each protocol has its own rule.
        rule: Field of `protocols.Protocol` that holds that rule; "" unless `when_empty` is `BY_PROTOCOL`.
        per_tolerance: Whether it is scored once for each tolerance of the surface, under the names "<name>_1mm", ….
        needs_mm: Whether it needs the size of a voxel although its unit does not show it.
    """

    name: str
    function: Callable[..., float]
    unit: str
    range: str
    better: str
    definition: str
    source: str
    when_empty: str = BY_PROTOCOL
    rule: str = ""
    per_tolerance: bool = False
    needs_mm: bool = False

    def __post_init__(self) -> None:
        if self.better not in BETTER:
            raise ValueError(f"The metric {self.name} is better {self.better!r}. Expected one of {', '.join(BETTER)}.")
        if (self.when_empty == BY_PROTOCOL) != bool(self.rule):
            raise ValueError(
                f"The metric {self.name} has when_empty={self.when_empty!r} and rule={self.rule!r}. Expected a rule "
                f"exactly if when_empty is {BY_PROTOCOL!r}."
            )

    @property
    def needs_spacing(self) -> bool:
        """Whether it has no value where the size of a voxel is unknown."""
        return self.needs_mm or self.unit in MM

    def at(self, tolerances_mm: Sequence[float]) -> list["Metric"]:
        """The metric itself, or one for each tolerance in millimetres if it is scored per tolerance."""
        if not self.per_tolerance:
            return [self]
        return [
            replace(
                self,
                name=f"{self.name}_{tolerance:g}mm",
                function=partial(self.function, tolerance_mm=tolerance),
                per_tolerance=False,
            )
            for tolerance in tolerances_mm
        ]

    def out_of_range(self, value: float) -> bool:
        """Whether a score is impossible; an undefined one (NaN) never is."""
        return (self.range in (SHARE, POSITIVE) and value < 0) or (self.range == SHARE and value > 1)

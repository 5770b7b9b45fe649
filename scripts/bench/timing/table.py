"""Medians, ratios and rates of the rows of scripts/bench/gpu.sh, and its tables."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

GIB = 2**30


def summary(result: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of one row.

    Args:
        result: Result of the row: "ours" and "peer" (None if there is none), each with "outcome" and, if measured,
            "seconds", "precision", "batch" and the peaks in bytes.
        card: The rates of the device, from rates.py.

    Returns:
        For "ours" and "peer": outcome, median_seconds, n, patches_per_second, peak_gib; for a step of ours also
        tflops_per_second, matrix_share (of the matrix rate in the same precision) and copy_shares (of the copy rate, if
        everything is fused into the convolutions and if nothing is fused). `speedup` is the peer's median divided by
        ours, above 1 if ours is faster; None unless both were measured.
    """
    sides = {name: None if result[name] is None else _side(result[name], card) for name in ("ours", "peer")}
    medians = [side["median_seconds"] for side in sides.values() if side and side["outcome"] == "measured"]
    return {
        "key": result["key"],
        **sides,
        "speedup": medians[1] / medians[0] if len(medians) == 2 else None,
        "in_turns": result["in_turns"],
    }


def _side(found: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    if found["outcome"] != "measured":
        return {"outcome": found["outcome"]}
    median = statistics.median(found["seconds"])
    side = {
        "outcome": "measured",
        "precision": found["precision"],
        "median_seconds": median,
        "min_seconds": min(found["seconds"]),
        "max_seconds": max(found["seconds"]),
        "n": len(found["seconds"]),
        "patches_per_second": found["batch"] / median if "batch" in found else None,
        "peak_gib": (found["device_peak_bytes"] or found["process_peak_bytes"]) / GIB,
        "peak_of": "device" if found["device_peak_bytes"] else "process",
    }
    if "flops" in found:
        best = card["matrix_flops_per_second"].get(found["precision"])
        rate = found["flops"] / median
        side["tflops_per_second"] = rate / 1e12
        side["matrix_share"] = rate / best if best else None
        side["copy_shares"] = [
            found[name] / median / card["copy_bytes_per_second"] for name in ("least_bytes", "unfused_bytes")
        ]
    return side


def cells(row: Mapping[str, Any]) -> list[str]:
    """The cells of a row of the table, after its key."""
    ours, peer = row["ours"], row["peer"]
    measured = ours["outcome"] == "measured"
    rates = ["–"] * 3
    if measured and "tflops_per_second" in ours:
        least, unfused = ours["copy_shares"]
        share = ours["matrix_share"]
        rates = [
            f"{ours['tflops_per_second']:.3g}",
            "–" if share is None else f"{share:.0%}",
            f"{least:.0%} to {unfused:.0%}",
        ]
    speedup = "–" if row["speedup"] is None else f"{row['speedup']:.2f}" + ("" if row["in_turns"] else " *")
    return [_seconds(ours), _rate(ours), _gib(ours), _seconds(peer), _gib(peer), speedup, *rates]


def _seconds(side: Mapping[str, Any] | None) -> str:
    if side is None:
        return "–"
    return f"{side['median_seconds']:.3g}" if side["outcome"] == "measured" else side["outcome"]


def _rate(side: Mapping[str, Any]) -> str:
    rate = side.get("patches_per_second")
    return "–" if rate is None else f"{rate:.3g}"


def _gib(side: Mapping[str, Any] | None) -> str:
    return "–" if side is None or side["outcome"] != "measured" else f"{side['peak_gib']:.2f}"


HEADINGS = ("", "s", "patches/s", "GiB", "nnU-Net s", "GiB", "× nnU-Net", "TFLOP/s", "of matrix", "of copy rate")


def show(summaries: Sequence[Mapping[str, Any]], card: Mapping[str, Any], note: str) -> None:
    """Print the table.

    Args:
        summaries: Rows from `summary`.
        card: The rates of the device.
        note: Line above the table; "" for none.
    """
    from rich.console import Console
    from rich.table import Table

    matrix = ", ".join(f"{rate / 1e12:.3g} in {name}" for name, rate in card["matrix_flops_per_second"].items())
    copied = card["copy_bytes_per_second"] / 1e9
    title = f"{note}\n" if note else ""
    title += f"{card['device']}: matrix products {matrix} TFLOP/s; copies {copied:.3g} GB/s, read and written"
    caption = (
        "s: median. × nnU-Net: its median divided by ours; above 1, brats-unet is faster; *: each alone, because "
        "both at once did not fit into memory or time. of copy rate: all layers fused into the convolutions, to none."
    )
    table = Table(title=title, caption=caption)
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=not heading)
    for row in summaries:
        table.add_row(row["key"], *cells(row))
    Console(width=150).print(table)

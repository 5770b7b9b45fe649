"""What `brats-unet doctor` found, on a terminal: facts a line each, rates side by side, and the sentence below."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from brats_unet.files import size_text


def show_machine(facts: dict[str, Any], console: Console) -> None:
    """The facts, a line each."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    units = ", ".join(facts["vector_units"]) or "none known"
    threads = "".join(f", {name}={value}" for name, value in facts["threads_set"].items())
    commit_text = f" ({facts['commit']})" if facts["commit"] else ""
    for name, text in (
        ("brats-unet", f"{facts['brats_unet']}{commit_text} on Python {facts['python']}"),
        ("TensorFlow", f"{facts['tensorflow'] or 'missing'}, Keras {facts['keras'] or 'missing'}"),
        ("GPU", _gpu_text(facts)),
        ("CPU", f"{facts['processor']}, {facts['usable_cores']} of {facts['cores']} cores{threads}"),
        ("vector units", f"{units}; oneDNN {'on' if facts['onednn'] else 'off'}; computes in {facts['cpu_precision']}"),
        ("memory", f"{size_text(facts['memory_free_bytes'])} free of {size_text(facts['memory_bytes'])}"),
        (
            "cache disk",
            f"{size_text(facts['cache_free_bytes'])} free at {facts['cache_folder']}; "
            f"writes {rate_text(facts['cache_write_bytes_per_second'] / 2**20)} MiB/s, "
            f"reads {rate_text(facts['cache_read_bytes_per_second'] / 2**20)} MiB/s",
        ),
    ):
        table.add_row(name, Text(text))
    console.print(table)


def show_rates(
    rates: dict[str, Any],
    *,
    experiment: str,
    model: str,
    augmentation: str,
    patch: Sequence[int],
    batch: int,
    console: Console,
) -> None:
    """The rates side by side, and the verdict.

    Args:
        rates: Of `brats-unet doctor`, in plain types.
        experiment: Its name.
        model: Its name.
        augmentation: Its name.
        patch: Voxels along x, y, z.
        batch: Patches of a step.
        console: Where they are printed.
    """
    if rates["fits"]:
        console.print(
            f"experiment={experiment}: patches of {'×'.join(map(str, patch))}, {batch} a step, "
            f"{model} with {rates['parameters']:,} weights, {rates['precision']} on {rates['devices']}",
            markup=False,
        )
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
        table.add_column("part")
        table.add_column("patches/s", justify="right")
        table.add_column("")
        augmented = rates["augmentation_patches_per_second"]
        step = rates["step_patches_per_second"]
        table.add_row(
            "loader",
            rate_text(rates["loader_patches_per_second"]),
            f"cut from disk, {rates['loader_patches_per_second'] / step:.0f}× what a step takes",
        )
        share = "nothing to do" if augmented is None else f"{augmentation}, {step / augmented:.0%} of a step"
        table.add_row("augmentation", "–" if augmented is None else rate_text(augmented), share)
        table.add_row(
            "step",
            rate_text(step),
            f"augmentation included; {rate_text(rates['step_seconds'])} s each, "
            f"the first {rates['first_step_seconds']:.0f} s; {size_text(rates['peak_bytes'])} at the most",
        )
        console.print(table)
        console.print()
    console.print(Text(rates["verdict"], "bold"))


def _gpu_text(facts: dict[str, Any]) -> str:
    if not facts["gpu_count"]:
        return "none" + (" (CUDA libraries are installed)" if facts["cuda_libraries"] else "")
    cards = "; ".join(
        f"{card['name']}, {size_text(card['free_bytes'])} free of {size_text(card['total_bytes'])}"
        for card in facts["gpus"]
    )
    libraries = (
        "" if facts["cuda_libraries"] else "; CUDA libraries are not installed with pip: brats-unet[gpu] brings them"
    )
    return (cards or f"{facts['gpu_count']}, which nvidia-smi does not describe") + libraries


def rate_text(value: float) -> str:
    """A rate with two digits, or with all before the point."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"

"""Terminal tables of `brats-unet doctor`: the machine, the measured rates, and the verdict."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from brats_unet.files import size_text


def show_machine(facts: dict[str, Any], console: Console) -> None:
    """Print the machine's hardware and software, one line each."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    units = ", ".join(facts["vector_units"]) or "unknown"
    threads = "".join(f", {name}={value}" for name, value in facts["threads_set"].items())
    commit_text = f" ({facts['commit']})" if facts["commit"] else ""
    for name, text in (
        ("brats-unet", f"{facts['brats_unet']}{commit_text} on Python {facts['python']}"),
        ("TensorFlow", f"{facts['tensorflow'] or 'missing'}, Keras {facts['keras'] or 'missing'}"),
        ("GPU", _gpu_text(facts)),
        ("CPU", f"{facts['processor']}, {facts['usable_cores']} of {facts['cores']} cores{threads}"),
        ("vector units", f"{units}; oneDNN {'on' if facts['onednn'] else 'off'}; precision {facts['cpu_precision']}"),
        ("memory", f"{size_text(facts['memory_free_bytes'])} free of {size_text(facts['memory_bytes'])}"),
        (
            "cache disk",
            f"{size_text(facts['cache_free_bytes'])} free at {facts['cache_folder']}; "
            f"writes {rate_text(facts['cache_write_bytes_per_second'] / 2**20)} MiB/s, "
            f"reads {rate_text(facts['cache_read_bytes_per_second'] / 2**20)} MiB/s",
        ),
    ):
        table.add_row(name, text)
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
    """Print the measured rates and the verdict.

    Args:
        rates: Rates that `brats-unet doctor` measured, in plain types.
        experiment: Name of the experiment.
        model: Name of the network.
        augmentation: Name of the augmentation.
        patch: Patch size in voxels along x, y, z.
        batch: Patches per step.
        console: Console to print on.
    """
    if rates["fits"]:
        console.print(
            f"experiment={experiment}: {batch} patch{'' if batch == 1 else 'es'} of {'×'.join(map(str, patch))} per "
            f"step, {model} with {rates['parameters']:,} weights, {rates['precision']} on {rates['devices']}"
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
            f"reads from disk; {rates['loader_patches_per_second'] / step:.0f}× as fast as the step needs",
        )
        share = "none" if augmented is None else f"{augmentation}; {step / augmented:.0%} of the step"
        table.add_row("augmentation", "–" if augmented is None else rate_text(augmented), share)
        table.add_row(
            "step",
            rate_text(step),
            f"with augmentation; {rate_text(rates['step_seconds'])} s per step, first step "
            f"{rates['first_step_seconds']:.0f} s; peak memory {size_text(rates['peak_bytes'])}",
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
        "" if facts["cuda_libraries"] else "; no CUDA libraries from pip: install them with pip install brats-unet[gpu]"
    )
    return (cards or f"{facts['gpu_count']} (nvidia-smi gives no details)") + libraries


def rate_text(value: float) -> str:
    """A number with two significant digits below 10, and as an integer from 10 on."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"

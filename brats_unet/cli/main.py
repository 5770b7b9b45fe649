"""`brats-unet COMMAND key=value…`: from the command line to a settings dataclass, then to the command.

Only what the next step needs is imported: help and typos are answered without Hydra, Hydra without TensorFlow.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from brats_unet import __version__
from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, conf_files, help
from brats_unet.cli.implied import PLAN_FIRST, with_implied
from brats_unet.cli.overrides import parsed
from brats_unet.errors import BratsError, Interrupted, Terminated
from brats_unet.hardware import quiet_tensorflow
from brats_unet.safe_text import visible


def main(argv: list[str] | None = None) -> int:
    """Run one command line, given without the program's name.

    Returns:
        The exit code: 0, 1 if the command found a problem, 2 if it was refused, 130 if it was stopped.
    """
    try:
        with _sigterm_stops_like_ctrl_c():
            code = _answer(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except Interrupted as stop:
        print(visible(str(stop)), file=sys.stderr)
        code = stop.exit_code
    except BratsError as problem:
        _print_error(str(problem))
        code = problem.exit_code
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        code = Interrupted.exit_code
    except BrokenPipeError:  # what reads our output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    return code


def _answer(argv: list[str]) -> int:
    if argv[:1] in (["-sc"], ["--shell-completion"]):
        from brats_unet.cli import completion

        return completion.answer(argv[1:])
    request = arguments.split(argv)
    if "--version" in request.flags:
        print(f"brats-unet {__version__}")
        return 0
    if request.command is None:
        print(help.overview(), end="")
        return 0
    if "--help" in request.flags:
        conf = request.conf
        overrides = [parsed(text, index, request) for index, text in enumerate(request.arguments)]
        overrides = with_implied(conf, overrides, multirun=request.multirun)
        print(help.of_command(conf, checks.asked_choices(conf, overrides, multirun=True)), end="")
        return 0
    overrides = checks.checked(request)

    from brats_unet.cli import hydra

    if {"--cfg", "--info"} & set(request.flags):
        hydra.show(request, overrides)
        return 0
    if request.multirun:
        return hydra.sweep(request, overrides)
    settings = _settings(request, overrides)
    if request.command == "train" and settings.plan == PLAN_FIRST:
        rest = [argument for argument in request.arguments if not argument.startswith("plan=")]
        planning = arguments.Request("plan", request.flags, rest)
        file = _command("plan", "plan_if_missing")(_settings(planning, checks.checked(planning)))
        request.arguments = [*rest, f"plan={file}"]
        settings = _settings(request, checks.checked(request))
    return _command(request.command)(settings)


@contextmanager
def _sigterm_stops_like_ctrl_c() -> Iterator[None]:
    """SIGTERM, which job schedulers send, stops like Ctrl-C: half-written files are removed."""

    def stop(number: int, frame: Any) -> None:
        raise Terminated

    old = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def _settings(request: arguments.Request, overrides: list[arguments.Override]) -> Any:
    from brats_unet.cli import hydra

    values = hydra.settings_of(request, overrides)
    checks.refuse_gaps(request.conf, overrides, values)
    checks.refuse_long_warmup(overrides, values)
    assert request.command is not None
    return bind(conf_files.COMMANDS[request.command], values)


def _command(name: str, function: str = "main") -> Callable[[Any], Any]:
    with quiet_tensorflow(needed=False):
        try:
            return getattr(importlib.import_module(f"brats_unet.commands.{name}"), function)
        except ModuleNotFoundError:
            from brats_unet.inference.exported import refuse_absent

            refuse_absent("tensorflow", "keras", wanted_by=f"`brats-unet {name}`")
            raise


def _print_error(message: str) -> None:
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    print(("\033[31merror:\033[0m " if colour else "error: ") + visible(message), file=sys.stderr)

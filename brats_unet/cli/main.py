"""`brats-unet COMMAND key=value…`: from the command line to a settings dataclass, then to the command.

Only what the next step needs is imported: help and typos are answered without Hydra, Hydra without TensorFlow.
"""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from brats_unet import __version__, job_report
from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, conf_files, help
from brats_unet.cli.implied import PLAN_FIRST, with_implied
from brats_unet.cli.overrides import parsed
from brats_unet.errors import STOPPED_AT_ONCE, BratsError, Interrupted, SettingsError, Stopped
from brats_unet.files import DISK_ERRORS, NAME_ERRORS
from brats_unet.hardware import quiet_tensorflow
from brats_unet.safe_text import visible
from brats_unet.stopping import StopRequest


def main(argv: list[str] | None = None) -> int:
    """Run one command line, given without the program's name.

    Returns:
        The exit code, one of `errors.EXIT_CODES`.
    """
    try:
        with StopRequest() as stop:
            code = _answer(sys.argv[1:] if argv is None else argv, stop)
        sys.stdout.flush()
    except Interrupted as saved:
        print(visible(str(saved)), file=sys.stderr)
        code = saved.exit_code
    except BratsError as problem:
        _print_error(str(problem))
        code = problem.exit_code
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        code = STOPPED_AT_ONCE
    except BrokenPipeError:  # what reads our output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as problem:  # of a disk; where a file is written, the sentence says more
        if problem.errno not in DISK_ERRORS | NAME_ERRORS:
            raise
        where = f"{problem.filename}: " if problem.filename else ""
        remedy = "Make room, allow it, or choose another folder; then start again."
        _print_error(f"{where}{problem.strerror}. {remedy if problem.errno in DISK_ERRORS else 'Give another path.'}")
        code = BratsError.exit_code
    return code


def _answer(argv: list[str], stop: StopRequest) -> int:
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
    arguments.gather_paths(request)
    if "--help" in request.flags:
        conf = request.conf
        overrides = [parsed(text, index, request) for index, text in enumerate(request.arguments)]
        overrides = with_implied(conf, overrides, multirun=request.multirun)
        print(help.of_command(conf, checks.asked_choices(conf, overrides, multirun=True)), end="")
        return 0
    if {"--cfg", "--info"} & set(request.flags):
        from brats_unet.cli import hydra

        hydra.show(request, checks.checked(request))
        return 0
    if request.command in ("train", "crossval", "reproduce"):
        return _train(request, stop)
    overrides = checks.checked(request)
    if request.multirun:
        from brats_unet.cli import sweep

        return sweep.sweep(request, overrides)
    return _command(request.command)(settings_of(request, overrides))


def _train(request: arguments.Request, stop: StopRequest) -> int:
    """Train, after `plan` if asked; a stop is an `Interrupted`, for the same command continues wherever it came."""
    try:
        if request.command == "train" and any(word.startswith("sweep=") for word in request.arguments):
            from brats_unet.cli import search

            return search.search(request, settings_of)
        overrides = checks.checked(request)
        if request.multirun and request.command != "crossval":
            from brats_unet.cli import sweep

            return sweep.sweep(request, overrides)
        settings = settings_of(request, overrides)
        if request.command == "reproduce":
            return _stopping("reproduce", settings, stop)
        stop.within_seconds = settings.checkpoint.stop_seconds
        if settings.plan == PLAN_FIRST:
            if settings.hardware.device == "workers":
                raise SettingsError(
                    "plan=auto with hardware=workers: every worker would plan. Run `brats-unet plan` first, and give "
                    "its file with plan=…."
                )
            rest = [argument for argument in request.arguments if not argument.startswith("plan=")]
            known = {*request.conf.types} - {*conf_files.Conf("plan").types}  # of crossval alone
            for_plan = [argument for argument in rest if argument.partition("=")[0] not in known]
            planning = arguments.Request("plan", request.flags, for_plan)
            file = _command("plan", "plan_if_missing")(settings_of(planning, checks.checked(planning)))
            request.arguments = [*rest, f"plan={file}"]
            overrides = checks.checked(request)
            settings = settings_of(request, overrides)
        if request.command == "crossval":
            from brats_unet.cli import crossval

            return crossval.crossval(request, overrides, settings)
        return _stopping("train", settings, stop)
    except Stopped:
        raise Interrupted(
            f"Stopped{stop.by and f' by {stop.by}'} where nothing had to be saved; what is done is kept. Run the same "
            f"command again to continue."
        ) from None


def _stopping(name: str, settings: Any, stop: StopRequest) -> int:
    """Run a command that saves its work when a stop is requested."""
    with stop.deferred():  # an exception in the middle of an import may surface as another one
        command = _command(name)
    with stop.raising():
        return command(settings, stop)


def settings_of(request: arguments.Request, overrides: list[arguments.Override]) -> Any:
    """The settings of a command, as its dataclass.

    Raises:
        SettingsError: Settings are missing, or do not fit.
    """
    from brats_unet.cli import hydra

    values = hydra.settings_of(request, overrides)
    checks.refuse_gaps(request.conf, overrides, values)
    checks.refuse_long_warmup(overrides, values)
    assert request.command is not None
    return bind(conf_files.COMMANDS[request.command], values)


def _command(name: str, function: str = "main") -> Callable[..., Any]:
    with quiet_tensorflow(needed=False):
        try:
            return getattr(importlib.import_module(f"brats_unet.commands.{name}"), function)
        except ModuleNotFoundError:
            from brats_unet.inference.exported import refuse_absent

            refuse_absent("tensorflow", "keras", wanted_by=f"`brats-unet {name}`")
            raise


def _print_error(message: str) -> None:
    job_report.tell(error=message)
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    print(("\033[31merror:\033[0m " if colour else "error: ") + visible(message), file=sys.stderr)

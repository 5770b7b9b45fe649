"""HTML report of an evaluation: one self-contained file that needs no internet.

Template, style and scripts are in template/; the content comes from summary.json, scores.csv and the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from brats_unet import __version__
from brats_unet.data.phantom.phantoms import is_phantom
from brats_unet.errors import SettingsError, some
from brats_unet.evaluation.cohort import cohort_of
from brats_unet.evaluation.mask_paths import folders_of, pairs_of
from brats_unet.evaluation.record import Evaluation
from brats_unet.evaluation.score import Pair
from brats_unet.files import atomic_path
from brats_unet.metrics.glossary import VOXELS
from brats_unet.private_paths import short_texts
from brats_unet.processes import map_in_processes
from brats_unet.report import page_cohort, page_facts, page_header
from brats_unet.report.looks import css, css_class
from brats_unet.report.page_pictures import HeatPicture, Progress, case_pictures, heat_picture
from brats_unet.report.scans import Packed, base85, packed_case
from brats_unet.report.scheme_words import first_upper, label_sentences, region_sentences, target
from brats_unet.run import Run
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_in
from brats_unet.spelling import suggestion

MANY = 4  # regions above which the tables get narrow columns


@dataclass(frozen=True)
class Page:
    """A report that was written.

    Attributes:
        path: HTML file.
        size_bytes: Size of the file.
        scrolled: Cases in the scan viewer.
        drawn: Cases shown as figures.
        left_out: Sentences that name what could not be shown.
        synthetic: Whether some cases are phantoms.
    """

    path: Path
    size_bytes: int
    scrolled: tuple[str, ...]
    drawn: tuple[str, ...]
    left_out: tuple[str, ...]
    synthetic: bool


def write_page(
    evaluation: Evaluation,
    runs: Sequence[Run],
    path: Path,
    *,
    viewer: int = 5,
    cases: Sequence[str] | None = None,
    pictures: int | None = None,
    heat: Mapping[str, Sequence[HeatPicture]] | None = None,
    data_root: Path | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> Page:
    """Write the HTML report of an evaluation.

    Args:
        evaluation: Evaluation with a summary; its scheme says what its regions are.
        runs: The runs that were scored. Settings, curves and environment are shown of a single one; there is none for
            an evaluation of two folders.
        path: HTML file to write.
        viewer: Number of cases in the scan viewer, spread evenly from the worst to the best.
        cases: Ids of the cases in the scan viewer, instead of `viewer`.
        pictures: Number of worst cases and of best cases that are shown as figures; None: as
            `page_cohort.drawn_groups` says.
        heat: Grad-CAM maps by case, to show below the figures.
        data_root: Folder of the scans and expert masks; None: where they were when they were scored.
        command: Command-line arguments that wrote the report, without the program name.
        progress: Called with (task, done, total).

    Raises:
        SettingsError: A case was not scored, or a count is negative.
        MachineError: The disk is full.
    """
    if viewer < 0 or (pictures or 0) < 0:
        raise SettingsError(f"viewer={viewer}, pictures={pictures}: expected 0 or more.")
    scheme, run = evaluation.scheme, runs[0] if len(runs) == 1 else None
    of_run = scheme_in(run.recipe()) if run is not None and run.recipe_file.is_file() else scheme
    cohort = cohort_of(evaluation.rows, evaluation.facts)
    order = [one.case for one in cohort.cases]
    if unknown := [case for case in cases or () if case not in order]:
        were = "was" if len(unknown) == 1 else "were"
        raise SettingsError(f"cases: {some(unknown)} {were} not scored. {suggestion(unknown[0], order)}")
    log = progress or (lambda what, done, total: None)
    pairs = pairs_of(evaluation, data_root)
    synthetic = evaluation.summary.get("synthetic", any(is_phantom(pair.reference) for pair in pairs.values()))
    words = dict(page_header.viewer_cases(cohort, order if cases is not None else page_header.spread(order, viewer)))
    chosen = list(dict.fromkeys(cases)) if cases is not None else list(words)
    packed, problems = _packed([pairs[case] for case in chosen if case in pairs], log)
    groups = page_cohort.drawn_groups(cohort, pictures)
    drawn, unseen = case_pictures(
        evaluation, pairs, [case for _, some_cases in groups for case in some_cases], synthetic, log
    )
    left_out = [
        *problems,
        *unseen,
        *(f"{case}: the evaluation does not record the path of its masks." for case in chosen if case not in pairs),
    ]
    # Named by their last component, also in texts of earlier versions.
    known = folders_of(evaluation, data_root)
    folders = list(known.values())
    niivue = _resource("vendor/niivue.umd.js.gz") if packed else b""
    html = _template().render(
        title=evaluation.summary.get("title") or evaluation.name,
        synthetic=synthetic,
        header=page_header.header(evaluation, runs, known, synthetic=synthetic),
        summary={key: short_texts(facts, folders) for key, facts in evaluation.summary.items() if key != "files"},
        no_spacing=page_facts.no_spacing(evaluation.summary),
        headline=page_facts.headline(evaluation),
        charts=page_facts.charts(evaluation),
        cases=page_facts.case_rows(evaluation, order),
        case_metrics=[page_facts.CHARTED[metric][0] for metric in page_facts.charted(evaluation)],
        pictures=[(name, [drawn[case] for case in chosen if case in drawn]) for name, chosen in groups],
        drawn=list(drawn),
        heat={case: [heat_picture(one) for one in maps] for case, maps in (heat or {}).items() if case in drawn},
        figures=evaluation.summary.get("figures", []),
        failures=page_cohort.failures(evaluation, cohort),
        size_charts=page_cohort.size_charts(cohort, scheme),
        columns=page_cohort.case_columns(cohort, scheme, MANY),
        viewer=packed,
        viewer_words=words,
        greys=" to ".join(dict.fromkeys(str(edge(one.greys for one in packed)) for edge in (min, max) if packed)),
        **_of_scheme(scheme),
        curves=page_facts.curves(run, of_run) if run else [],
        seed=page_facts.seed(evaluation.summary),
        glossary=page_facts.glossary(evaluation.summary),
        voxels=VOXELS,
        rules=page_facts.rules(evaluation.summary),
        settings=page_facts.typed_values(run.settings()) if run else {},
        environment=page_facts.typed_values(page_facts.environment(run)),
        commands=page_facts.commands(evaluation, run, command),
        left_out=short_texts(left_out, folders),
        version=__version__,
        niivue=base85(niivue),
        niivue_licence=_resource("vendor/LICENSE.niivue").decode(),
        style=_resource("template/page.css").decode() + css([scheme, of_run]),
        script=_resource("template/page.js").decode(),
        viewer_script=_resource("template/viewer.js").decode(),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return Page(
        path, path.stat().st_size, tuple(one.case_id for one in packed), tuple(drawn), tuple(left_out), synthetic
    )


def _of_scheme(scheme: Scheme) -> dict[str, Any]:
    """What the template says about a scheme, in plain types."""
    return {
        "regions": {
            name: {
                "words": scheme.regions[name].words,
                "heading": first_upper(scheme.regions[name].words),
                "look": css_class(scheme, name),
                "labels": list(scheme.values(name)),
                "seen": scheme.regions[name].seen_on,
            }
            for name in scheme.scored
        },
        "many": len(scheme.scored) > MANY,
        "scheme": {"name": scheme.name, "source": scheme.source},
        "target": target(scheme),
        "definitions": region_sentences(scheme),
        "labels": label_sentences(scheme),
    }


def _packed(pairs: Sequence[Pair], log: Progress) -> tuple[list[Packed], list[str]]:
    found = map_in_processes(
        packed_case, pairs, seconds_each=0.6, progress=lambda done, total: log("Packing scans", done, total)
    )
    return [one for one in found if isinstance(one, Packed)], [one for one in found if isinstance(one, str)]


def _resource(name: str) -> bytes:
    return files("brats_unet.report").joinpath(name).read_bytes()


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(_resource("template/page.html.j2").decode())

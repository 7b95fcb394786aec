"""Findings for many files: the main path, once a scan."""

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tumorlens.analyze import Analyzer
from tumorlens.errors import TumorlensError
from tumorlens.finding import Finding
from tumorlens.finding.privacy import public_place
from tumorlens.finding.write import DEFAULT_FORMATS, Format, WriteOptions, refuse_impossible, write_finding
from tumorlens.parallel import in_order
from tumorlens.scan import Scan
from tumorlens.scan.folder import DONE_FILE
from tumorlens.scan.sources import Source, find_sources

_LARGE = 8 << 20  # bytes of a file from which it may be a stack, which is analysed with none beside it
_SMALL_KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".mat")


@dataclass(frozen=True)
class PredictOptions:
    """What is asked of `predict`.

    Attributes:
        formats: To write.
        write: How.
        series: Of DICOM studies; see `tumorlens.scan.read_scan`.
        largest_component: Whether to keep nothing but the largest connected part of an outline.
        resume: Whether scans that were finished before are skipped.
    """

    formats: Sequence[Format] = DEFAULT_FORMATS
    write: WriteOptions = field(default_factory=WriteOptions)
    series: str | None = None
    largest_component: bool = False
    resume: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one scan.

    Attributes:
        name: What to call it.
        words: What was found, or why it failed.
        failed: Whether it failed.
        skipped: Whether it had been finished before.
        files: What was written.
    """

    name: str
    words: str
    failed: bool = False
    skipped: bool = False
    files: tuple[Path, ...] = ()


def predict(
    analyzer: Analyzer,
    paths: Sequence[Path],
    out: Path,
    options: PredictOptions | None = None,
    *,
    report: Callable[[Outcome], None] = lambda _: None,
    advance: Callable[[int, int], None] = lambda _done, _slices: None,
) -> list[Outcome]:
    """Analyse scans, pictures several at a time and stacks one by one; a bad one doesn't stop the rest.

    Args:
        analyzer: What looks at them.
        paths: Files and folders; see `tumorlens.scan.sources.find_sources`.
        out: The folder that gets the results, in the same places as the scans lie in the folders given.
        options: What is asked.
        report: Told of each scan when it is done.
        advance: Told how many scans and how many slices more are done, from any thread.

    Returns:
        Of each scan, in order.

    Raises:
        TumorlensError: There is nothing to look at, or a result would replace a given file.
        OSError: A result can't be written.
    """
    options = options or PredictOptions()
    if out.exists() and not out.is_dir():
        raise TumorlensError(f"{out}: expected a folder for the results, got a file; give another --out")
    sources = find_sources(paths, leave_out=out)
    _refuse_replacing(sources, out)
    job = _Job(analyzer, out, options, advance)
    outcomes = []
    for outcome in in_order(job, sources):
        report(outcome)
        outcomes.append(outcome)
    return outcomes


class _Job:
    """One scan from file to files."""

    def __init__(
        self, analyzer: Analyzer, out: Path, options: PredictOptions, advance: Callable[[int, int], None]
    ) -> None:
        self._analyzer = analyzer
        self._out = out
        self._options = options
        self._advance = advance
        self._one_stack = threading.Lock()
        self._done = _Done(out / DONE_FILE)

    def __call__(self, source: Source) -> Outcome:
        key = self._key(source)
        if self._options.resume and key in self._done:
            self._advance(1, 0)
            return Outcome(source.path.name, "done before", skipped=True)
        try:
            with self._one_stack if _may_be_stack(source) else contextlib.nullcontext():
                outcome = self._predict(source)
        except TumorlensError as error:
            self._advance(1, 0)
            return Outcome(source.path.name, str(error), failed=True)
        except (OSError, MemoryError):  # the disk's or the machine's trouble, not this scan's
            raise
        except Exception as error:  # what nobody thought of must not keep the other scans from being analysed
            self._advance(1, 0)
            return Outcome(
                source.path.name, f"unexpected {type(error).__name__}; please report it", failed=True
            )
        self._done.add(key)
        self._advance(1, 0)
        return outcome

    def _predict(self, source: Source) -> Outcome:
        options = self._options
        scan = source.read(options.series)
        refuse_impossible(scan, options.formats)
        finding = self._analyzer.analyze(
            scan,
            largest_component=options.largest_component,
            report=lambda count: self._advance(0, count),
        )
        place = source.place if options.write.keep_identity else public_place(source.place, scan)
        folder = self._out / place.parent
        files = write_finding(finding, folder, place.name, options.formats, options.write)
        return Outcome(_name(source, scan), _words(finding), files=tuple(files))

    def _key(self, source: Source) -> str:
        """Changes with the scan and with all that the results depend on."""
        options = self._options
        asked = (sorted(options.formats), options.write, options.series, options.largest_component)
        return hashlib.sha256(f"{source.fingerprint} {self._analyzer.name} {asked}".encode()).hexdigest()


class _Done:
    """The keys of what was finished, in a file that a kill can at worst leave with one line cut short."""

    _DIGITS = 64

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        lines = path.read_text("ascii", errors="replace").split() if path.exists() else []
        self._keys = {line for line in lines if len(line) == self._DIGITS}

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, key: str) -> None:
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="ascii") as file:
                file.write(f"\n{key}\n")
            self._keys.add(key)


def _may_be_stack(source: Source) -> bool:
    if source.files:
        return True
    small = source.path.suffix.lower() in _SMALL_KINDS
    return not small or (source.path.exists() and source.path.stat().st_size > _LARGE)


def _refuse_replacing(sources: Sequence[Source], out: Path) -> None:
    """No result may take the place of a file that was given."""
    pictures = [f"-{each}.png" for each in (Format.MASK, Format.OVERLAY, Format.HEATMAP)]
    endings = [*pictures, ".json", ".html", "-mask.nii.gz", "-seg.dcm", "-sr.dcm", "-capture.dcm"]
    given = {source.path.resolve() for source in sources}
    for source in sources:
        for ending in endings:
            result = out / source.place.with_name(source.place.name + ending)
            if result.resolve() in given:
                raise TumorlensError(
                    f"{result}: a result would replace this scan; give the results another --out"
                )


def _name(source: Source, scan: Scan) -> str:
    return public_place(Path(source.path.name), scan).name


def _words(finding: Finding) -> str:
    parts = list(_type_words(finding))
    if finding.tumor_slices:
        parts.append(_outline_words(finding))
    if finding.scan.reason is not None:
        parts.append(finding.scan.reason)
    return "; ".join([*parts, *(f"warning: {warning}" for warning in finding.warnings)])


def _type_words(finding: Finding) -> Iterator[str]:
    if finding.tumor_type is not None and finding.probabilities is not None:
        yield f"{finding.tumor_type.title} ({finding.probabilities[finding.tumor_type]:.0%})"
        if finding.confidence is not None and finding.confidence.accuracy is not None:
            yield str(finding.confidence)


def _outline_words(finding: Finding) -> str:
    if finding.volume_mm3 is not None:
        on, of = len(finding.tumor_slices), len(finding.scan.slices)
        return f"{finding.volume_mm3 / 1000:.1f} cm³ outlined on {on} of {of} slices"
    pixels = sum(finding.tumor_pixels or ())
    area = "" if finding.area_mm2 is None else f", {finding.area_mm2:.0f} mm²"
    return f"{pixels} pixels outlined{area}"

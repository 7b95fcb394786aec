"""A manifest in words."""

from tumorlens.bundle.manifest import Manifest, Result
from tumorlens.judgement import LookAgain


def describe(manifest: Manifest) -> str:
    """A bundle's manifest as lines for people."""
    judgement, training, parity = manifest.judgement, manifest.training, manifest.parity
    size = sum(member.bytes for member in manifest.members) / 1e6
    lines = [
        (
            f"{manifest.name}: {size:.1f} MB, written by tumorlens {manifest.tumorlens} "
            f"on {manifest.created:%Y-%m-%d}"
        ),
        f"input: {manifest.size} × {manifest.size}, {manifest.normalisation} to [0, 1]" + _looks(manifest),
    ]
    lines += [
        f"{graph.file}: {', '.join(graph.outputs)}; {graph.precision}, {graph.bytes / 1e6:.1f} MB"
        for graph in manifest.graphs
    ]
    lines += [
        f"graphs against networks: {parity.largest_difference:.1e} at most on {parity.slices} slices",
        f"trained on: {training.slices} slices"
        + (f" of folds {', '.join(map(str, training.folds))}" if training.folds else "")
        + f", {training.dataset} ({training.licence})",
        f"encoder began with: {training.weights}",
        f"temperature: {judgement.temperature:g}",
    ]
    for band in judgement.bands:
        worth = "" if band.accuracy is None else f": right in {band.accuracy:.1%} of {band.slices} slices"
        lines.append(f"{band.word} confidence: from {band.from_probability:.0%}{worth}")
    lines += [_result(result) for result in manifest.results]
    return "\n".join(_printable(line) for line in [*lines, manifest.notice])


def _looks(manifest: Manifest) -> str:
    """How often, and which way round, slices are looked at."""
    limits = manifest.judgement.second_look
    of_center = f", the center crop of {manifest.center_crop:.0%}" if manifest.center_crop < 1 else ""
    if limits is None:
        return f"; averaged over both mirror images{of_center}" if manifest.flip else ""
    again = f"; looked at again {_where(limits)}"
    if not manifest.flip:
        return again
    third = manifest.judgement.third_look
    if third is None or len(manifest.graphs) == 1:
        return f"{again}, also mirrored{of_center}"
    return f"{again}, mirrored{of_center} {_where(third)}"


def _where(limits: LookAgain) -> str:
    name = f" or the type's probability is below {limits.below_probability:.0%}"
    return f"where a Dice below {limits.below_dice:g} is expected{name if limits.below_probability else ''}"


def _result(result: Result) -> str:
    interval = (
        "" if result.low is None or result.high is None else f" ({result.low:.3f} to {result.high:.3f})"
    )
    return f"{result.measure}: {result.value:.3f}{interval}; {result.slices} slices, {result.protocol}"


def _printable(line: str) -> str:
    """A line without what could move a terminal's cursor or color it."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)

"""From one machine to an archive: real rates, the plan for up to a billion slices, and a simulation of it.

    python benchmarks/scale_plan.py measure [--slices DIR] [--count 144] [--rounds 3] [--rates FILE]
    python benchmarks/scale_plan.py plan [--form dicom] [--core-price 0.05] [...] [--write docs/scale.md]

``measure`` takes up to six minutes on two quiet cores, more where others work on them, too, and writes
scale_rates.json: slices per second per core, sizes, starts, listing, Ray's overhead, and real runs. DIR holds
.mat files of the public dataset; by default the twelve of tests/data are taken again and again.

``plan`` prints the tables of docs/scale.md from these rates and a site's own prices, bandwidths and limits
(all of them options; their defaults are examples). ``--write`` puts them into a document between its marks,
and the figure beside it.

Needs `tumorlens[batch]` and simpy (`pip install simpy`); measures Ray where `tumorlens[cluster]` is there;
the figure needs `tumorlens[train]`. Linux only.
"""

import argparse
import json
import re
import sys
from dataclasses import fields
from pathlib import Path

from scale.formulas import Site

HERE = Path(__file__).parent
RATES = HERE / "scale_rates.json"
SLICES = HERE.parent / "tests" / "data" / "slices"
MARK = re.compile(r"(<!-- scale_plan: (?P<name>[a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Measure, or plan."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="Measure this machine.")
    measuring.add_argument("--slices", type=Path, default=SLICES, help="Folder of .mat files.")
    measuring.add_argument("--count", type=int, default=144, help="Slices of an archive, a multiple of 24.")
    measuring.add_argument("--rounds", type=int, default=3, help="Of all runs.")
    measuring.add_argument("--minutes", type=float, default=4.0, help="After which no further round begins.")
    planning = commands.add_parser("plan", help="Print the plan.")
    planning.add_argument("--form", default="dicom", choices=("mat", "png", "dicom"))
    planning.add_argument("--write", type=Path, help="A document with marks.")
    for each in fields(Site):
        planning.add_argument(f"--{each.name.replace('_', '-')}", type=float, default=each.default)
    for command in (measuring, planning):
        command.add_argument("--rates", type=Path, default=RATES)
    asked = parser.parse_args()
    if asked.command == "measure":
        measure(asked)
    else:
        plan(asked)


def measure(asked: argparse.Namespace) -> None:
    """Measure and write."""
    from scale.measure import measure as measured

    told = measured(asked.slices, asked.count, asked.rounds, asked.minutes)
    asked.rates.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(f"{asked.rates}: measured in {told['about']['minutes']} minutes")


def plan(asked: argparse.Namespace) -> None:
    """Print the tables, or put them into a document."""
    from scale.rates import rates_of
    from scale.tables import blocks as all_blocks

    measured = json.loads(asked.rates.read_text(encoding="utf-8"))
    site = Site(**{each.name: getattr(asked, each.name) for each in fields(Site)})
    rates = rates_of(measured, asked.form)
    blocks = all_blocks(measured, asked.form, rates, site)
    if asked.write is None:
        print("\n\n".join(f"## {name}\n\n{text}" for name, text in blocks.items()))
        return
    asked.write.write_text(filled(asked.write.read_text(encoding="utf-8"), blocks), encoding="utf-8")
    from scale.figure import write

    write(rates, site, asked.write.with_suffix(".png"))


def filled(text: str, blocks: dict[str, str]) -> str:
    """A document with new tables between its marks.

    Raises:
        SystemExit: It has marks for other tables, or lacks some.
    """
    there = [match["name"] for match in MARK.finditer(text)]
    if sorted(there) != sorted(blocks):
        sys.exit(f"expected marks for {sorted(blocks)}, got {sorted(there)}")
    return MARK.sub(lambda match: f"{match[1]}{blocks[match['name']]}\n{match[3]}", text)


if __name__ == "__main__":
    main()

"""The figure of the plan: time over cores for each size. Needs `tumorlens[train]`."""

from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from scale.check import check
from scale.formulas import HOUR, Plan, Rates, Site
from scale.rates import DESIGNS
from scale.tables import FLEETS, SIZES
from tumorlens.evaluate.figures import BLUE, GRAY, ORANGE, SMALL, TEXT, VERMILION, new_figure, save_figure

STEPS = [2**power for power in range(1, 15)]
COLORS = {"one run": VERMILION, "sharded": ORANGE, "changed": BLUE}
STYLES: tuple[tuple[Literal["-", "-.", "--"], str], ...] = (("-", "o"), ("-.", "^"), ("--", "s"))
TIMES = {"1 min": 1 / 60, "1 h": 1, "1 day": 24, "1 month": 730, "1 year": 8766}


def write(rates: Rates, site: Site, path: Path) -> None:
    """Draw and write."""
    figure = new_figure(9.0, 3.5)
    panels = figure.subplots(1, len(SIZES), sharey=True)
    for axes, (name, slices) in zip(panels, SIZES.items(), strict=True):
        _panel(axes, slices, rates, site)
        axes.set_title(f"{name} slices", fontsize=TEXT)
    panels[0].set_yticks(list(TIMES.values()), list(TIMES), fontsize=SMALL)
    figure.legend(
        handles=[
            Line2D([], [], color=GRAY, linestyle=":", label="the work alone"),
            *(
                Line2D([], [], color=color, linestyle=line, marker=marker, fillstyle="none", label=name)
                for (name, color), (line, marker) in zip(COLORS.items(), STYLES, strict=True)
            ),
        ],
        loc="outside lower center",
        ncols=len(COLORS) + 1,
        fontsize=SMALL,
        frameon=False,
    )
    save_figure(figure, path)


def _panel(axes: Axes, slices: float, rates: Rates, site: Site) -> None:
    axes.loglog(STEPS, [slices * rates.core_seconds / HOUR / cores for cores in STEPS], ":", color=GRAY)
    for (name, color), (line, marker) in zip(COLORS.items(), STYLES, strict=True):

        def plan(cores: int, name: str = name) -> Plan:
            return Plan(slices, cores, rates, site, DESIGNS[name](slices, cores, rates, site))

        walls = [plan(cores).case().wall() / HOUR for cores in STEPS]
        axes.loglog(STEPS, walls, line, color=color)
        simulated = [check(plan(cores)).rough * plan(cores).case().wall() / HOUR for cores in FLEETS]
        axes.loglog(FLEETS, simulated, marker, color=color, fillstyle="none", markersize=6)
    axes.set_xticks(FLEETS, [f"{cores:,}" for cores in FLEETS], fontsize=SMALL)
    axes.minorticks_off()
    axes.set_xlabel("cores", fontsize=SMALL)
    axes.grid(alpha=0.3)

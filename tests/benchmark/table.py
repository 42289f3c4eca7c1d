"""What came of it, as lines for people and as Markdown for the README."""

import os
import statistics

from .goals import ONE_CORE, PACED, S4, TARGETS, Cell

BUSY = 0.05  # share of a run; what a quiet machine takes is below
SAID = {"aim": "aim reached", "must": "must reached", "behind": "behind"}


class Row:
    """A goal in one circumstance, measured or not."""

    def __init__(self, goal, line, runner):
        self.goal, self.line = goal, line
        self.values = runner.measured(line, goal.figure)
        self.why = next((f"{cell.target}: {runner.absent[cell.target]}" for cell in (line.over, line.under)
                         if cell and cell.target in runner.absent), "not measured")

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def verdict(self):
        return self.goal.verdict(self.median) if self.values else None

    def cells(self):
        """what, median, spread, must, aim, reached"""
        goal, unit = self.goal, f" {self.goal.unit}" if self.goal.unit else ""
        bounds = [self.number(goal.must) + unit, self.number(goal.aim) + unit]
        if not self.values:
            return [goal.name, self.line.label, "–", "–", *bounds, self.why]
        spread = f"{self.number(min(self.values))} to {self.number(max(self.values))}"
        return [goal.name, self.line.label, self.number(self.median) + unit, spread, *bounds, SAID[self.verdict]]

    def number(self, value):
        """1/23 where less is better and that says more than 0.043."""
        if self.goal.more_is_better or self.goal.unit or value > 0.5:
            return f"{value:.0f}" if value >= 100 or value == round(value) else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
        return f"1/{1 / value:.0f}" if abs(1 / value - round(1 / value)) < 0.05 or value < 0.1 else f"1/{1 / value:.1f}"

    def short(self, bound):
        return f"{self.goal.name} ({self.line.label}): {self.number(self.median)}, not {self.number(bound)}"


HEADS = ["what", "where", "measured", "spread", "must", "aim", "reached"]


def aligned(heads, rows):
    widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in [heads, *rows]]


def markdown(heads, rows):
    return ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]


def figures(runner):
    """Absolute figures of everybody: less to be trusted than ratios, and what the plot shows."""
    rows = []
    for target in TARGETS:
        def median(load, figure, form, target=target):
            values = runner.figures(Cell(target, load), figure)
            return form.format(statistics.median(values)) if values else "–"
        row = [target, median(S4, "target_cpu_us", "{:.2f}"), median(S4, "per_second", "{:,.0f}"),
               median(PACED, "p50_us", "{:.0f}"), median(PACED, "p99_us", "{:.0f}"), median(PACED, "p999_us", "{:.0f}")]
        if any(cell != "–" for cell in row[1:]):
            rows.append(row)
    return ["target", "CPU µs per 400 B stanza", "stanzas/s on one core", "p50 µs at 2,000/s", "p99 µs", "p99.9 µs"], rows


def remarks(rows, runner):
    """What one must know to read the table."""
    said = []
    behind = [row.short(row.goal.must) for row in rows if row.verdict == "behind"]
    short = [row.short(row.goal.aim) for row in rows if row.verdict == "must"]
    said += [f"Behind what it must be: {one}." for one in behind] or ["Nothing that was measured is behind what it must be."]
    said += [f"Short of the aim: {one}." for one in short]
    limited = {rated: named(cell for cell in runner.limited() if (cell.load is PACED) == rated) for rated in (False, True)}
    if limited[False]:
        said.append(f"The generator was the limit of {limited[False]}: they can do more stanzas/s than was measured.")
    if limited[True]:
        said.append(f"The generator itself was late with {limited[True]}: the machine was busy, and these times say little.")
    waiting = statistics.median(runner.every("generator_waiting") or [0])
    if waiting > BUSY:
        said.append(f"The machine had other work to do: in half of the runs its processors were taken for {waiting:.0%} of the time or more.")
    if runner.reports.get(Cell("gateway", ONE_CORE)):
        said.append(two_cores())
    said += [f"{target} was not measured: {why}." for target, why in sorted(runner.absent.items())]
    if runner.broken:
        said.append(f"STANZAS WERE LOST, DOUBLED OR OUT OF ORDER: {', '.join(sorted(set(runner.broken)))}.")
    return said


def named(cells):
    return ", ".join(sorted(f"{cell.target} ({cell.load.name})" for cell in cells))


def two_cores():
    if (os.cpu_count() or 1) < 4:
        return ("On two cores the target shares one of them with the generator, since the machine has no more: "
                "its throughput on two says nothing, its CPU per stanza does.")
    return "On two cores the generator has the others."

"""Runs `portcullis-load`, round by round, and writes every run down.

In: cells. Out: for each cell the reports of its rounds, or why there are none. Ends the program if a target does not
work; a target that is not installed is left out and named.
"""

import json
import os
import statistics
import subprocess
import sys

from .places import LOAD, RESULTS

NOT_INSTALLED = 3


class Runner:
    def __init__(self, seconds):
        self.seconds = seconds
        self.reports = {}   # cell: [report]
        self.absent = {}    # target: why
        self.broken = []    # of stanzas that did not arrive once and in order
        RESULTS.mkdir(parents=True, exist_ok=True)
        self.log = (RESULTS / "runs.jsonl").open("w")

    def rounds(self, cells, count):
        """So many rounds, each in the other direction than the one before: what drifts hits both sides of a ratio."""
        for number in range(count):
            for cell in cells if number % 2 == 0 else reversed(cells):
                if cell.target not in self.absent:
                    say(f"round {number + 1} of {count}: {cell.target}, {cell.load.name}")
                    self.measure(cell)
        say("")

    def measure(self, cell):
        arguments = cell.arguments()
        if cell.load.timed and "--seconds" not in arguments:
            arguments += ["--seconds", str(self.seconds)]
        report = self.ask(arguments)
        if report is None:
            self.absent[cell.target] = "not installed"
            return
        if any(report.get(wrong) for wrong in ("lost", "doubled", "reordered")):
            self.broken.append(f"{cell.target}, {cell.load.name}")
        self.reports.setdefault(cell, []).append(report)

    def ask(self, arguments):
        """A report of the generator; None if the target is not installed."""
        done = subprocess.run([LOAD, *arguments, "--json"], capture_output=True, text=True, env={**os.environ, "RUST_BACKTRACE": "0"})
        if done.returncode == NOT_INSTALLED:
            return None
        if not done.stdout.strip():
            sys.exit(f"{LOAD} {' '.join(arguments)}\n{done.stderr}")
        report = json.loads(done.stdout)
        self.log.write(json.dumps({"arguments": arguments, **report}) + "\n")
        self.log.flush()
        return report

    def figures(self, cell, figure):
        return [value_of(report, figure) for report in self.reports.get(cell, [])]

    def measured(self, line, figure):
        """The values of a goal in one circumstance, one for each round; none if a side was not there."""
        over = self.figures(line.over, figure)
        if line.under is None:
            return over
        return [mine / theirs for mine, theirs in zip(over, self.figures(line.under, figure))]

    def every(self, figure):
        """The values of all reports that have it."""
        return [report[figure] for reports in self.reports.values() for report in reports if figure in report]

    def limited(self):
        """The cells in most of whose runs the generator was the limit."""
        return [cell for cell in self.reports if statistics.mean(self.figures(cell, "generator_is_limit")) > 0.5]


def value_of(report, figure):
    if figure == "each_kib":
        return report["each"] / 1024
    value = report.get(figure, 0)
    return statistics.median(value) if isinstance(value, list) else value


def say(text):
    """On a line of its own that the next one overwrites: nobody wants to read it later."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

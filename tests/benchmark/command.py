"""`tests/bench`, from its arguments to its exit code."""

import argparse
import sys
import time

from . import machine, plot, prepare, scaling, table
from .goals import BESIDE, GOALS, IDLE, LARGE, START
from .places import RESULTS
from .runner import Runner

POLICIES = ("Prosody, hook", "ejabberd, filter", "gateway, word filter too")


def main(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter runs, and less sure")
    parser.add_argument("--only", metavar="ROW", action="append", choices=[goal.key for goal in GOALS],
                        help=f"one row of the table (again for more): {', '.join(goal.key for goal in GOALS)}")
    parser.add_argument("--scaling", action="store_true", help="whether cost grows with the work and nothing else, instead")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, help="of each run; 4, or 1.5 with --quick")
    chosen = parser.parse_args()
    seconds = chosen.seconds or (1.5 if chosen.quick else 4)
    begin = time.monotonic()
    absent = prepare.install()
    prepare.build()
    runner = Runner(seconds)
    described = machine.described()
    print("\n".join(described))
    if chosen.scaling:
        whole = scale(runner, described, 0.5 if chosen.quick else 4)
    else:
        whole = compare(runner, chosen, absent, described)
    print(f"{(time.monotonic() - begin) / 60:.0f} minutes; each run: {RESULTS / 'runs.jsonl'}")
    if not whole:
        sys.exit(1)


def scale(runner, described, minutes):
    lines, text, flat = scaling.run(runner, minutes)
    print("\n".join(lines))
    write("scaling.md", [*text, "", *(f"{line}  " for line in described)])
    return flat and not runner.broken


def compare(runner, chosen, absent, described):
    goals = [goal for goal in GOALS if not chosen.only or goal.key in chosen.only]
    check(runner)
    cells = [cell for goal in goals for line in goal.lines for cell in (line.over, line.under) if cell]
    cells = list(dict.fromkeys(cells if chosen.only else [*cells, *BESIDE]))
    cells.sort(key=lambda cell: cell.load.name)  # the sides of a ratio close together
    seldom = [cell for cell in cells if cell.load is IDLE]
    runner.rounds([cell for cell in cells if cell not in seldom], chosen.rounds)
    runner.rounds(seldom, 1 if chosen.quick else 3)
    for target, why in absent.items():
        runner.absent.setdefault(target, why)

    print(f"{chosen.rounds} rounds of {runner.seconds:g} s, each the other way round than the one before; median, least and most")
    rows = [table.Row(goal, line, runner) for goal in goals for line in goal.lines]
    cells = [row.cells() for row in rows]
    heads, absolute = table.figures(runner)
    remarks = table.remarks(rows, runner)
    print("\n".join(["", *table.aligned(table.HEADS, cells), "", *table.aligned(heads, absolute), "", *remarks]))
    write("table.md", [*table.markdown(table.HEADS, cells), "", *table.markdown(heads, absolute), "", *(f"- {line}" for line in remarks), "",
                       f"{chosen.rounds} rounds of {runner.seconds:g} s. " + "; ".join(described) + "."])
    drawn = plot.svg(runner, described)
    if drawn:
        (RESULTS / "plot.svg").write_text(drawn)
        print(f"table: {RESULTS / 'table.md'}; plot: {RESULTS / 'plot.svg'}")
    return not runner.broken


def check(runner):
    """No policy counts that does not do what it is there for."""
    from .goals import TARGETS
    for target in POLICIES:
        report = runner.ask(["check", *TARGETS[target]])
        if report is None:
            continue
        if report["forbidden"][1] or report["allowed"][0] != report["allowed"][1]:
            sys.exit(f"{target}: the policy does not hold: {report}")
        print(f"{target}: {report['forbidden'][0]} of {report['forbidden'][0]} messages with the forbidden word kept out, "
              f"{report['allowed'][1]} of {report['allowed'][0]} others passed")


def write(name, lines):
    (RESULTS / name).write_text("\n".join(lines) + "\n")

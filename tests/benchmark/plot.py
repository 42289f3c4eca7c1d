"""The plot: what a stanza costs and how long it is underway, target by target. SVG, by hand, without a library.

Its colours are readable on white and on black; a viewer that says which it has gets its own text colour.
"""

import math
import statistics
from xml.sax.saxutils import escape

from .goals import PACED, S4, TARGETS, Cell

WIDTH, LEFT, PANEL, GAP = 960, 194, 306, 78
TOP, STEP, BAR, BOTTOM = 84, 30, 14, 62

STYLE = """
text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #57606a; }
.title { font-size: 15px; font-weight: 600; fill: #24292f; }
.name { text-anchor: end; }
.own { font-weight: 600; fill: #24292f; }
.tick { font-size: 11px; text-anchor: middle; }
.foot { font-size: 11px; }
.grid { stroke: #8b949e; stroke-opacity: .28; }
.bar { fill: #8b949e; fill-opacity: .75; }
.bar.ours { fill: #1f883d; fill-opacity: 1; }
.range { stroke: #57606a; stroke-width: 1.5; }
.span { stroke: #8b949e; stroke-width: 4; stroke-linecap: round; stroke-opacity: .55; }
.span.ours { stroke: #1f883d; }
.dot { fill: #8b949e; } .dot.ours { fill: #1f883d; }
.ring { fill: none; stroke: #8b949e; stroke-width: 2; } .ring.ours { stroke: #1f883d; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; } .title, .own { fill: #f0f6fc; } .range { stroke: #9198a1; }
  .bar.ours, .dot.ours { fill: #3fb950; } .span.ours, .ring.ours { stroke: #3fb950; }
}
"""


class Axis:
    """A logarithmic scale from one power of ten to another."""

    def __init__(self, left, values, unit):
        self.left, self.unit = left, unit
        self.first = math.floor(math.log10(min(values)))
        self.last = math.ceil(math.log10(max(values)))

    def at(self, value):
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return self.left + share * PANEL

    def drawn(self, bottom):
        for power in range(self.first, self.last + 1):
            x = self.at(10.0**power)
            yield f'<line class="grid" x1="{x:.1f}" y1="{TOP - 12}" x2="{x:.1f}" y2="{bottom}"/>'
            yield f'<text class="tick" x="{x:.1f}" y="{bottom + 16}">{10.0**power:,g}</text>'
        yield f'<text class="tick" x="{self.left + PANEL / 2:.1f}" y="{bottom + 36}">{escape(self.unit)}</text>'


def svg(runner, described):
    costs = {target: runner.figures(Cell(target, S4), "target_cpu_us") for target in TARGETS}
    costs = {target: values for target, values in costs.items() if values}
    times = {target: [statistics.median(values) for figure in ("p50_us", "p99_us") if (values := runner.figures(Cell(target, PACED), figure))]
             for target in costs}
    if not costs or not any(times.values()):
        return None
    order = sorted(costs, key=lambda target: statistics.median(costs[target]))
    bottom = TOP + STEP * len(order)
    cost = Axis(LEFT, [value for values in costs.values() for value in values], "µs of CPU, logarithmic; the line is the spread of all rounds")
    time = Axis(LEFT + PANEL + GAP, [value for values in times.values() for value in values], "µs, logarithmic; p50 ● to p99 ○")
    parts = [
        f'<text class="title" x="{LEFT}" y="30">What a 400 byte stanza costs</text>',
        f'<text x="{LEFT}" y="50">4 streams, as fast as one core allows</text>',
        f'<text class="title" x="{time.left}" y="30">How long it is underway</text>',
        f'<text x="{time.left}" y="50">2,000 stanzas a second</text>',
        *cost.drawn(bottom), *time.drawn(bottom),
    ]
    for at, target in enumerate(order):
        y = TOP + STEP * at + STEP / 2 - 4
        ours = " ours" if target.startswith("gateway") else ""
        median = statistics.median(costs[target])
        parts += [
            f'<text class="name{" own" if ours else ""}" x="{LEFT - 12}" y="{y + 4.5}">{escape(target)}</text>',
            f'<rect class="bar{ours}" x="{LEFT}" y="{y - BAR / 2}" width="{cost.at(median) - LEFT:.1f}" height="{BAR}" rx="2"/>',
            f'<line class="range" x1="{cost.at(min(costs[target])):.1f}" y1="{y}" x2="{cost.at(max(costs[target])):.1f}" y2="{y}"/>',
            f'<text x="{cost.at(max(costs[target])) + 7:.1f}" y="{y + 4.5}">{median:.3g}</text>',
        ]
        if times[target]:
            p50, p99 = times[target]
            parts += [
                f'<line class="span{ours}" x1="{time.at(p50):.1f}" y1="{y}" x2="{time.at(p99):.1f}" y2="{y}"/>',
                f'<circle class="dot{ours}" cx="{time.at(p50):.1f}" cy="{y}" r="5"/>',
                f'<circle class="ring{ours}" cx="{time.at(p99):.1f}" cy="{y}" r="4"/>',
                f'<text x="{time.at(p99) + 10:.1f}" y="{y + 4.5}">{p50:,.0f} / {p99:,.0f}</text>',
            ]
    height = bottom + BOTTOM + 16 * len(described)
    parts += [f'<text class="foot" x="{LEFT}" y="{bottom + BOTTOM + 16 * at}">{escape(line)}</text>' for at, line in enumerate(described)]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
            f'aria-label="CPU cost and latency per target"><style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n")

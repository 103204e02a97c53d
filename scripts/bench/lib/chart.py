"""Charts of how cost grows, as SVG: the reader's own font, no background, readable on light and on dark."""

import math

from lib.report import Figures, number

WIDTH, HEIGHT = 720, 310
LEFT, RIGHT, TOP, BOTTOM = 56, 28, 58, 40
GAP = 74

# Told apart by shade and by dash, on white as on black.
STYLES = {
    "applianced": ("#d9480f", ""),
    "nginx": ("#2f9e44", "6 3"),
    "hitch": ("#4c8dd6", "2 3"),
    "envoy": ("#a061d1", "9 3 2 3"),
}
OTHER = ("#868e96", "1 4")

STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#57606a}"
    ".g{stroke:#8b949e;stroke-opacity:.3}"
    "@media(prefers-color-scheme:dark){text{fill:#adb5bd}}"
)


class Panel:
    """One diagram: both axes grow by factors."""

    def __init__(self, left, title, lines):
        self.left, self.title, self.lines = left, title, lines
        self.width = (WIDTH - 2 * LEFT - RIGHT - GAP + LEFT) / 2
        points = [point for line in lines.values() for point in line]
        self.xs = sorted({x for x, _ in points})
        self.low = 10 ** math.floor(math.log10(min(y for _, y in points)))
        self.high = 10 ** math.ceil(math.log10(max(y for _, y in points) * 1.0001))

    def x(self, value):
        low, high = math.log(self.xs[0]), math.log(self.xs[-1])
        return self.left + (math.log(value) - low) / ((high - low) or 1) * self.width

    def y(self, value):
        low, high = math.log(self.low), math.log(self.high)
        share = (math.log(value) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def svg(self, unit):
        right = self.left + self.width
        yield f'<text x="{self.left}" y="{TOP - 12}">{self.title}</text>'
        value = self.low
        while value <= self.high * 1.001:
            y = self.y(value)
            yield f'<path class="g" d="M{self.left} {y:.0f}H{right:.0f}"/>'
            yield label(self.left - 6, y + 4, short(value), "end")
            value *= 10
        for x in self.xs:
            yield label(self.x(x), HEIGHT - BOTTOM + 16, f"{x:,}", "middle")
        yield label(self.left + self.width / 2, HEIGHT - 6, unit, "middle")
        for peer, points in self.lines.items():
            colour, dash = STYLES.get(peer, OTHER)
            path = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
            yield (
                f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2" '
                f'stroke-dasharray="{dash}"/>'
            )
            for x, y in points:
                tip = f"{peer}, {x:,}: {number(y)}"
                yield (
                    f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3" fill="{colour}">'
                    f"<title>{tip}</title></circle>"
                )


def label(x, y, text, anchor):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{text}</text>'


def short(value):
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def growth(run, key, counts, what, unit):
    """An SVG of rate and p99 over the number of `unit`, or None if that wasn't measured."""
    figures = Figures(run)

    def lines(kind):
        found = {}
        for peer in figures.peers:
            values = [(n, figures.median(f"{key}.{n}.{kind}", peer)) for n in counts]
            values = [(n, value) for n, value in values if value]
            if len(values) > 1:
                found[peer] = values
        return found

    rates, latencies = lines("rate"), lines("p99")
    if not rates or not latencies:
        return None
    first = Panel(LEFT, f"{what} per second", rates)
    second = Panel(LEFT + first.width + GAP, "99 % are answered within … ms", latencies)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{what} per second and their latency by number of {unit}</title>",
        f"<style>{STYLE}</style>",
    ]
    x = LEFT
    for peer in rates:
        colour, dash = STYLES.get(peer, OTHER)
        parts.append(
            f'<path d="M{x} 12h28" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        parts.append(label(x + 34, 16, peer, "start"))
        x += 48 + 8 * len(peer)
    parts += [*first.svg(unit), *second.svg(unit), "</svg>"]
    return "\n".join(parts) + "\n"

"""Line plots as SVG, with logarithmic axes. They are readable on light and on dark pages."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 80, 190, 40, 60
COLOURS = ("#1f6feb", "#bf5700", "#2da44e", "#a371f7", "#cf222e", "#6e7781", "#d4a72c", "#0598bc")
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis from the least to the greatest value."""

    least: float
    greatest: float
    begin: float  # in pixels
    end: float

    def place(self, value: float) -> float:
        share = (math.log(value) - math.log(self.least)) / (math.log(self.greatest) - math.log(self.least))
        return round(self.begin + share * (self.end - self.begin), 1)


def line_plot(title: str, x_name: str, y_name: str, lines: Mapping[str, Points]) -> str:
    """Draw lines with their points.

    Args:
        title: Above the plot.
        x_name: Of the axis, with its unit.
        y_name: The same.
        lines: The points of each line, by its name. All values are above zero.

    Returns:
        A whole SVG file.

    Raises:
        ValueError: There is no point, or a value that has no logarithm.
    """
    points = [point for line in lines.values() for point in line]
    if not points or min(min(point) for point in points) <= 0:
        raise ValueError("a plot needs points, and all their values above zero")
    xs, ys = sorted({x for x, _ in points}), [y for _, y in points]
    x_axis = _Axis(xs[0], max(xs[-1], xs[0] * 1.01), LEFT, WIDTH - RIGHT)
    y_axis = _Axis(min(ys) / 1.3, max(ys) * 1.3, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 22, title, "start", 'font-size="15"'),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, x_name, "middle"),
        _text(18, HEIGHT / 2, y_name, "middle", f'transform="rotate(-90 18 {HEIGHT / 2})"'),
    ]
    for x in xs:
        parts.append(_rule(x_axis.place(x), TOP, x_axis.place(x), HEIGHT - BOTTOM))
        parts.append(_text(x_axis.place(x), HEIGHT - BOTTOM + 18, _number(x), "middle"))
    for y in _ticks(y_axis.least, y_axis.greatest):
        parts.append(_rule(LEFT, y_axis.place(y), WIDTH - RIGHT, y_axis.place(y)))
        parts.append(_text(LEFT - 8, y_axis.place(y) + 4, _number(y), "end"))
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [(x_axis.place(x), y_axis.place(y)) for x, y in line]
        path = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
        at = TOP + 14 + 20 * number
        parts.append(f'<rect x="{WIDTH - RIGHT + 16}" y="{at - 9}" width="12" height="4" fill="{colour}"/>')
        parts.append(_text(WIDTH - RIGHT + 34, at - 3, name, "start"))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#24292f" {more}>{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#d0d7de"/>'


def _ticks(least: float, greatest: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten between two values; of many, only the powers."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(greatest)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    inside = [tick for tick in ticks if least <= tick <= greatest]
    return (
        inside
        if len(inside) <= 8
        else [t for t in inside if math.isclose(math.log10(t) % 1, 0, abs_tol=1e-9)]
    )


def _number(value: float) -> str:
    """Return a number as people write it, e.g. `100,000` or `0.5`."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"

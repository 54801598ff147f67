"""Curves as SVG: both axes logarithmic, readable on a light and on a dark page, the same text for the same numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Curve", "plot"]

_WIDTH, _HEIGHT = 860, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 250, 52, 58
_LINE = 17
_LIGHT = ("#ffffff", "#1f2328", "#59636e", "#d8dee4")
_DARK = ("#0d1117", "#e6edf3", "#9198a1", "#30363d")
# Told apart also by who does not see red and green, in this order: after Okabe and Ito.
_INKS = ("#0072b2", "#d55e00", "#009e73", "#b05a92", "#a07000", "#4b5fc4", "#6b7280")
_DARK_INKS = ("#56b4e9", "#ff8c42", "#2fcf9f", "#e09ac6", "#f0c23b", "#9aa8ff", "#b6bcc6")


@dataclass(frozen=True)
class Curve:
    """Points in the order of their x, all numbers above zero."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Axis:
    """Values between `low` and `high`, laid out from the pixel `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + part * (self.end - self.start)


def plot(title: str, x_title: str, curves: Sequence[Curve], unit: Callable[[float], str]) -> str:
    """Return the SVG of `curves`; `unit` words a value of the y axis.

    A dashed line shows how steep straight growth is: twice as much of x, twice as much of y.
    """
    xs = sorted({x for curve in curves for x, _ in curve.points})
    ys = [y for curve in curves for _, y in curve.points]
    across = _Axis(xs[0], max(xs[-1], xs[0] * 1.01), _LEFT, _WIDTH - _RIGHT)
    up = _Axis(_below(min(ys)), _above(max(ys)), _HEIGHT - _BOTTOM, _TOP)
    parts = [*_frame(title, x_title, across), *_grid(xs, across, up, unit), *_guide(across, up)]
    parts += _lines(curves, across, up)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" aria-label="{escape(title)}">'
    )
    return "\n".join([head, f"<style>{_style()}</style>", *parts, "</svg>", ""])


def _style() -> str:
    plain = "text{font:13px system-ui,sans-serif}.title{font-size:16px;font-weight:600}.line{fill:none;stroke-width:2}"
    return f"{plain}{_colours(_LIGHT, _INKS)}@media(prefers-color-scheme:dark){{{_colours(_DARK, _DARK_INKS)}}}"


def _colours(page: tuple[str, str, str, str], inks: Sequence[str]) -> str:
    paper, ink, faint, rule = page
    common = f".paper{{fill:{paper}}}text{{fill:{ink}}}.faint{{fill:{faint}}}.rule{{stroke:{rule}}}"
    guide = f".guide{{stroke:{faint};stroke-dasharray:3 5}}"
    each = (f".s{n}{{stroke:{colour}}}.f{n}{{fill:{colour}}}" for n, colour in enumerate(inks))
    return common + guide + "".join(each)


def _frame(title: str, x_title: str, across: _Axis) -> list[str]:
    middle = (across.start + across.end) / 2
    return [
        f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
        f'<text class="title" x="{_LEFT}" y="30">{escape(title)}</text>',
        f'<text class="faint" x="{middle:.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{escape(x_title)}</text>',
    ]


def _grid(xs: Sequence[float], across: _Axis, up: _Axis, unit: Callable[[float], str]) -> list[str]:
    parts = []
    for x in xs:
        at = across.at(x)
        parts += [
            f'<path class="rule" d="M{at:.1f} {up.start}V{up.end}"/>',
            f'<text class="faint" x="{at:.1f}" y="{up.start + 20}" text-anchor="middle">{x:,.0f}</text>',
        ]
    for y in _ticks(up):
        at = up.at(y)
        parts += [
            f'<path class="rule" d="M{across.start} {at:.1f}H{across.end}"/>',
            f'<text class="faint" x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(unit(y))}</text>',
        ]
    return parts


def _ticks(axis: _Axis) -> list[float]:
    """Return round values on `axis`: powers of ten, and where those are few, twice and five times those too."""
    first, last = math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high))
    steps = (1,) if last - first > 3 else (1, 2, 5)
    values = (step * 10.0**power for power in range(first, last + 1) for step in steps)
    return [value for value in values if axis.low * 0.999 <= value <= axis.high * 1.001]


def _guide(across: _Axis, up: _Axis) -> list[str]:
    """Return the line of straight growth from the lower left corner, as far as it is within the frame."""
    growth = min(across.high / across.low, up.high / up.low)
    x, y = across.at(across.low * growth), up.at(up.low * growth)
    return [f'<path class="guide" d="M{across.start} {up.start}L{x:.1f} {y:.1f}"/>']


def _lines(curves: Sequence[Curve], across: _Axis, up: _Axis) -> list[str]:
    parts, lowest = [], -math.inf
    highest_first = sorted(enumerate(curves), key=lambda item: -item[1].points[-1][1])
    for number, curve in highest_first:
        places = [(across.at(x), up.at(y)) for x, y in curve.points]
        ink = number % len(_INKS)
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path class="line s{ink}" d="M{path}"/>')
        parts += [f'<circle class="f{ink}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
        # Labels stand at the ends of their lines, but never on each other.
        lowest = max(places[-1][1] + 4, lowest + _LINE)
        parts.append(f'<text class="f{ink}" x="{across.end + 12:.1f}" y="{lowest:.1f}">{escape(curve.label)}</text>')
    return parts


def _below(value: float) -> float:
    return 10 ** (math.floor(math.log10(value) * 3) / 3)


def _above(value: float) -> float:
    return 10 ** (math.ceil(math.log10(value * 1.05) * 3) / 3)

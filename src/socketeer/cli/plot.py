"""
Latencies as a picture.
"""

from __future__ import annotations

from html import escape

from .load import Load
from .report import duration

__all__ = ["plot"]

_WIDTH, _HEIGHT, _MARGIN = 720, 360, 60
_BARS = 60
_MARKS = (50.0, 99.0, 99.9)


def plot(load: Load, uri: str) -> str:
    """
    Return an SVG with the distribution of the latencies.
    """
    bars = list(load.latencies.bars(_BARS))
    width = _WIDTH - 2 * _MARGIN
    height = _HEIGHT - 2 * _MARGIN
    bottom = _HEIGHT - _MARGIN
    most = max((count for _, _, count in bars), default=1)
    step = width / max(len(bars), 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        '<g font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_MARGIN}" y="30" font-size="16">Latency of {escape(uri)}</text>',
    ]
    for index, (low, high, count) in enumerate(bars):
        tall = height * count / most
        parts.append(
            f'<rect x="{_MARGIN + index * step:.1f}" y="{bottom - tall:.1f}"'
            f' width="{max(step - 1, 0.5):.1f}" height="{tall:.1f}" fill="#4477aa">'
            f"<title>{duration(low)} to {duration(high)}: {count}</title></rect>"
        )
    for index in range(0, len(bars), max(1, len(bars) // 8)):
        parts.append(
            f'<text x="{_MARGIN + index * step:.1f}" y="{bottom + 18}">'
            f"{duration(bars[index][0])}</text>"
        )
    parts.append(f'<path d="M{_MARGIN} {bottom}H{_WIDTH - _MARGIN}" stroke="#333"/>')
    parts += _marks(load, bars, step, bottom)
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _marks(
    load: Load, bars: list[tuple[float, float, int]], step: float, bottom: float
) -> list[str]:
    """
    Return a line for each of some percentiles.
    """
    parts = []
    for row, percent in enumerate(_MARKS):
        value = load.latencies.percentile(percent)
        index = next((i for i, bar in enumerate(bars) if value <= bar[1]), None)
        if index is None:
            continue
        x = _MARGIN + (index + 0.5) * step
        y = _MARGIN + 14 * row
        label = f"{percent:g} %: {duration(value)}"
        parts += [
            f'<path d="M{x:.1f} {y}V{bottom}" stroke="#cc3311" stroke-dasharray="3"/>',
            f'<text x="{x + 4:.1f}" y="{y + 4}" fill="#cc3311">{label}</text>',
        ]
    return parts

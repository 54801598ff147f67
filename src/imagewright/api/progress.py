"""Progress bars as text, for clients that print what they get; the drawing is that of the Docker engine."""

__all__ = ["bar", "human_size"]

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_WIDTH = 50


def human_size(size: int) -> str:
    """Return `size`, in bytes, with four significant digits and a decimal unit."""
    value, power = float(size), 0
    while value >= 1000 and power < len(_UNITS) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.4g}{_UNITS[power]}"


def bar(current: int | None, total: int | None) -> str:
    """Return how `current` of `total`, in bytes, looks; "" where neither is known."""
    current, total = current or 0, total or 0
    if current <= 0 and total <= 0:
        return ""
    if total <= 0:
        return f"{human_size(current):>8}"
    filled = min(current * 100 // total // 2, _WIDTH)
    counts = f"{human_size(current):>8}" + (f"/{human_size(total)}" if current <= total else "")
    return f"[{'=' * filled}>{' ' * (_WIDTH - filled)}] {counts}"

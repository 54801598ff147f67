"""The text of docs/benchmarks.md from what was measured."""

from collections.abc import Iterable, Mapping

from profiling import Profile
from rows import ABSOLUTE, BEST, OURS, Row, Taken, Verdict, verdicts

__all__ = ["amount", "goal_text", "missed", "profiles_text", "report", "table"]

_PEERS = (OURS, "classic", "BuildKit", "podman")
_HEAD = """\
# Benchmarks

The same work by imagewright, dockerd's classic builder, BuildKit (of the same dockerd) and podman, on one machine, in
one run, in turns. `make bench` writes this page, and nobody edits it: reasons are in `benchmarks/reasons.toml`.
"""
_EXPLAINED = """\
Medians, and in parentheses the least and the most of several rounds. The ratio is to the best peer, or to the one that
the goal names; where a goal is a value, it is that. Builds are without cache and, where nothing is said, without
network. "classic" is dockerd itself where nothing is built. The floor is the least that this machine takes for the same
bytes, beside what imagewright takes of it. A cell without a value is work that the peer does not do, or that is left
out because it is slow there. BuildKit and podman are asked by their programs, whose start is part of what they take,
the others by HTTP.
"""
_PROFILED = """\
imagewright's daemon once more, looked at every two milliseconds; a build is looked at once, its first. Shares are of
the time of all threads that do something, or wait for a process or the disk; what runs beside each other counts twice.
"""
_UNWRITTEN = "no reason written"


def report(
    machine: str,
    rows: list[Taken],
    reasons: Mapping[str, str],
    profiles: Iterable[Profile],
    sections: Iterable[str],
) -> str:
    """Return the whole page."""
    parts = [
        _HEAD,
        machine + "\n",
        "## Results\n",
        _EXPLAINED,
        table(rows),
        _notes(rows),
        "## Where a goal does not hold\n",
        missed(rows, reasons),
        "## Where the time goes\n",
        profiles_text(profiles, {taken.row.key: taken.row for taken in rows}),
        *(section.strip() + "\n" for section in sections),
    ]
    return "\n".join(part for part in parts if part)


def table(rows: list[Taken]) -> str:
    """Return the table of all rows."""
    heads = ["", *_PEERS, "rounds", "ratio", "goal", "holds", "floor", "of it"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for taken in rows:
        found = verdicts(taken)
        cells = [
            taken.row.title,
            *(_cell(taken, name) for name in _PEERS),
            str(taken.done),
            *_ratios(taken, found),
            *_floor(taken),
        ]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def missed(rows: list[Taken], reasons: Mapping[str, str]) -> str:
    """Return which goals do not hold, each with its reason."""
    lines = []
    for taken in rows:
        lacking = [verdict for verdict in verdicts(taken) if not verdict.holds]
        if lacking:
            said = " and ".join(f"{_found(taken.row, each)}, goal {goal_text(taken.row, each)}" for each in lacking)
            lines.append(f"- **{taken.row.title}** ({said}): {reasons.get(taken.row.key, _UNWRITTEN).strip()}")
    return "\n".join(lines or ["All hold."]) + "\n"


def profiles_text(profiles: Iterable[Profile], rows: Mapping[str, Row]) -> str:
    """Return where the time goes, a line for each profile."""
    lines = [_PROFILED]
    for profile in profiles:
        shares = ", ".join(f"{what} {share:.0%}" for what, share in profile.shares)
        title = rows[profile.key].title if profile.key in rows else profile.key
        lines.append(f"- **{title}**, {profile.summary}: {shares or 'nothing was seen'}.")
        if profile.lines:
            lines.append(
                "  Most of it in " + "; ".join(f"`{place}` {share:.0%}" for place, share in profile.lines) + "."
            )
    return "\n".join(lines) + "\n"


def amount(value: float, unit: str) -> str:
    """Return a value with its unit, to three digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:,.{digits}f}{'' if unit.startswith('/') else ' '}{unit}"


def goal_text(row: Row, verdict: Verdict) -> str:
    """Return what a goal asks for."""
    goal, sign = verdict.goal, "≥" if row.more else "≤"
    if goal.against == ABSOLUTE:
        return f"{sign} {goal.bound:g} {row.unit}"
    return f"{sign} {goal.bound:g} ×" + ("" if goal.against == BEST else f" {goal.against}")


def _found(row: Row, verdict: Verdict) -> str:
    if verdict.value is None:
        return "not measured"
    return amount(verdict.value, row.unit) if verdict.goal.against == ABSOLUTE else f"{_times(verdict.value)} ×"


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 3 else f"{ratio:.2f}"


def _cell(taken: Taken, name: str) -> str:
    if name in taken.failures and name not in taken.series:
        return f"failed: {taken.failures[name]}".replace("|", "\\|")
    if name not in taken.series:
        return "–"
    series = taken.series[name]
    middle = amount(series.median, taken.row.unit)
    if len(series.samples) == 1:
        return middle
    least, most = (amount(value, "").strip() for value in series.spread)
    return f"{middle} ({least}–{most})"


def _ratios(taken: Taken, found: list[Verdict]) -> list[str]:
    ratios = "; ".join(_found(taken.row, each) for each in found)
    goals = "; ".join(goal_text(taken.row, each) for each in found)
    return [ratios, goals, "; ".join("yes" if each.holds else "**no**" for each in found)]


def _floor(taken: Taken) -> list[str]:
    if taken.floor is None:
        return ["–", "–"]
    said = f"{amount(taken.floor.value, taken.row.unit)}, {taken.floor.title}"
    if OURS not in taken.series or not taken.floor.value:
        return [said, "–"]
    return [said, f"{_times(taken.series[OURS].median / taken.floor.value)} ×"]


def _notes(rows: list[Taken]) -> str:
    """Return what did not go as planned."""
    fewer = [f"{taken.row.key} {taken.done} of {taken.planned}" for taken in rows if taken.done < taken.planned]
    lines = [f"Time was up before all rounds were taken: {', '.join(fewer)}.\n"] if fewer else []
    later = [
        f"{name} in {taken.row.key}: {why}"
        for taken in rows
        for name, why in taken.failures.items()
        if name in taken.series
    ]
    lines += [f"Failed in a later round: {'; '.join(later)}.\n"] if later else []
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"

"""Where rules put what they find."""

from imagewright.checks.options import Options
from imagewright.checks.rules import RULES, Finding
from imagewright.checks.source import Source
from imagewright.dockerfile import Span

__all__ = ["Report"]


class Report:
    """The findings so far, each once; those that the options do not want are dropped."""

    def __init__(self, options: Options, source: Source) -> None:
        self._options = options
        self._source = source
        # The values are of no use; the order of the keys is.
        self._findings: dict[Finding, None] = {}

    def __call__(self, name: str, message: str, span: Span) -> None:
        """Note that the rule `name` finds something at `span`."""
        rule = RULES[name]
        if self._options.wants(rule):
            self._findings[Finding(rule, message, span, self._source.line(span.start))] = None

    def findings(self) -> tuple[Finding, ...]:
        """Return what was found, by line and for one line in the order of the rules."""
        order = list(RULES)
        return tuple(sorted(self._findings, key=lambda it: (it.span.start, order.index(it.rule.name))))

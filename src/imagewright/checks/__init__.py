"""Build checks: what in a Dockerfile works and should still be otherwise.

The 21 rules of https://docs.docker.com/reference/build-checks/ by their names, triggered where BuildKit triggers them.
Nothing is read or run: `check` goes by the text, the build args and what it is told of the base images.
"""

from imagewright.checks.check import check
from imagewright.checks.options import Options, read_options
from imagewright.checks.rules import RULES, Finding, Rule, describe, summarise

__all__ = ["RULES", "Finding", "Options", "Rule", "check", "describe", "read_options", "summarise"]

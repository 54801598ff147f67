"""What git says when it fails, as far as it may be repeated.

A server can have git print what it likes, and so can whatever else was reached instead of one; of that nothing is
passed on. So only sentences are that git and ssh are known to make themselves.
"""

import re

from imagewright.remote.program import Outcome
from imagewright.remote.repository import Repository

__all__ = ["explain"]

_MOST_LINE = 500
_SENTENCES = tuple(
    re.compile(sentence)
    for sentence in (
        r"fatal: couldn't find remote ref \S+",
        r"fatal: Couldn't find remote ref \S+",
        r"fatal: repository '[^']*' not found",
        r"fatal: invalid refspec '[^']*'",
        r"fatal: '[^']*' does not appear to be a git repository",
        r"fatal: Authentication failed for '[^']*'",
        r"fatal: could not read (?:Username|Password) for '[^']*': terminal prompts disabled",
        r"fatal: Could not read from remote repository\.",
        r"fatal: unable to connect to \S+",
        r"fatal: transport '\w+' not allowed",
        r"fatal: The remote end hung up unexpectedly",
        r"fatal: the remote end hung up unexpectedly",
        r"fatal: early EOF",
        r"fatal: fetch-pack: invalid index-pack output",
        r"fatal: (?=remote error: )",
        r"fatal: (?=protocol error: )",
        r"fatal: '?\S*/info/refs'? not valid: is this a git repository\?",
        r"error: invalid path '[^']*'",
        r"error: Server does not allow request for unadvertised object [0-9a-f]+",
        r"fatal: reference is not a tree: [0-9a-f]+",
        r"Host key verification failed\.",
        r"\S+: Permission denied \([a-z,-]+\)\.",
        r"ssh: connect to host \S+ port \d+: [A-Za-z ]+",
    )
)
_ACCESS = re.compile(
    r"fatal: unable to access '[^']*': (?P<why>The requested URL returned error: \d+|Failed to connect to .*|SSL .*"
    r"|server certificate .*|Operation too slow.*|Could not resolve host: \S+|Maximum .*)"
)
_CUT = ("remote error: ", "protocol error: ")


def explain(outcome: Outcome, repository: Repository, *, address: str = "") -> str:
    """Return why git failed, in the form in which the engine has it; `address` is what git was told to go to."""
    lines = [line for text in outcome.errors.splitlines() if (line := _sentence(text.strip()[:_MOST_LINE]))]
    text = "\n".join(dict.fromkeys(lines))
    if address:
        text = text.replace(address, repository.url)
    if outcome.status < 0:
        text = text or "git was killed"
        return f"{text}\n: signal {-outcome.status}"
    return f"{text}\n: exit status {outcome.status}" if text else f"exit status {outcome.status}"


def _sentence(line: str) -> str:
    if access := _ACCESS.fullmatch(line):
        return line if access["why"].isprintable() else ""
    for sentence in _SENTENCES:
        if match := sentence.match(line):
            for kind in _CUT:
                if line[match.end() :].startswith(kind):
                    return f"{match[0]}{kind.rstrip(': ')}"
            return match[0]
    return ""

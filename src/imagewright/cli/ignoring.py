"""The file that says what of a directory is no part of the build context.

https://docs.docker.com/build/concepts/context/#filename-and-location: a file named like the Dockerfile with
`.dockerignore` behind it, next to it, counts instead of the `.dockerignore` of the directory.
"""

import os
from dataclasses import dataclass

from imagewright.errors import InvalidInput
from imagewright.filesystem import IgnorePatterns

__all__ = ["IGNORE_FILE", "IgnoreFile", "read_ignore_file"]

IGNORE_FILE = ".dockerignore"


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """The patterns that count, and the `name` of their file for messages; empty if there is none."""

    name: str
    patterns: IgnorePatterns

    def explain(self, path: str) -> str:
        """Return what is done with `path`, relative to the context, and which line says so."""
        index = self.patterns.decisive(path)
        if index is None:
            return "included: no pattern matches"
        pattern = self.patterns.patterns[index]
        verdict = "included" if pattern.startswith("!") else "ignored"
        return f"{verdict} by {self.name}:{self.patterns.lines[index]}: {pattern}"


def read_ignore_file(directory: str, dockerfile: str) -> IgnoreFile:
    """Return the patterns for a build of `directory` with the Dockerfile at the path `dockerfile`.

    Raises `InvalidInput` for a pattern that is malformed.
    """
    beside = dockerfile + IGNORE_FILE
    for path, name in (
        (beside, os.path.relpath(beside, directory)),
        (os.path.join(directory, IGNORE_FILE), IGNORE_FILE),
    ):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                data = file.read()
            try:
                return IgnoreFile(name, IgnorePatterns.read(data))
            except InvalidInput as error:
                raise InvalidInput(f"{name}: {error}") from error
    return IgnoreFile("", IgnorePatterns(()))

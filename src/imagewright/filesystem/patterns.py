"""Wildcards of COPY and ADD sources, and of image list filters.

https://pkg.go.dev/path/filepath#Match
"""

__all__ = ["matches"]


def matches(pattern: str, name: str) -> bool:
    """Tell whether the whole of `name` matches: `*` and `?` stop at `/`, `[a-z]`, `[^a]` and `\\` are understood.

    Raises `InvalidInput` "syntax error in pattern" for a malformed pattern.
    """
    raise NotImplementedError

"""The façade that the API, the command line and embedders share."""

__all__ = ["BuildRequest", "Engine"]


class Engine:
    """Placeholder until the façade lands."""


class BuildRequest:
    """Placeholder until the façade lands."""

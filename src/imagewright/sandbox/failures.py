"""How the engine words that a container cannot be made."""

__all__ = ["creation_failure"]


def creation_failure(reason: str) -> str:
    """Return the text for a container that cannot be made because of `reason`."""
    return f"failed to create shim task: OCI runtime create failed: runc create failed: {reason}: unknown"

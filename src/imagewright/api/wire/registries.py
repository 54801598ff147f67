"""What registries have, in Docker's names."""

from imagewright.api.wire.document import Document
from imagewright.engine import Distribution
from imagewright.registry import SearchResult

__all__ = ["distribution", "search_result"]


def distribution(found: Distribution) -> Document:
    """Return the answer about a name in a registry."""
    platforms = [
        {
            "architecture": platform.architecture,
            "os": platform.os,
            **({"variant": platform.variant} if platform.variant else {}),
        }
        for platform in found.platforms
    ]
    descriptor = {"mediaType": found.media_type, "digest": str(found.digest), "size": found.size}
    return {"Descriptor": descriptor, "Platforms": platforms}


def search_result(result: SearchResult) -> Document:
    """Return one repository that a search found."""
    return {
        "star_count": result.star_count,
        "is_official": result.official,
        "name": result.name,
        "is_automated": result.automated,
        "description": result.description,
    }

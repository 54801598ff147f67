"""The `platform` parameter as clients of version 1.48 and newer send it: a JSON object."""

from imagewright.api.go_json import decode, kind_of
from imagewright.api.query import Query
from imagewright.engine import StoredImage
from imagewright.errors import InvalidInput, NotFound
from imagewright.oci import Platform

__all__ = ["check_platform", "one_platform", "parse_platform_object"]


def one_platform(query: Query) -> Platform | None:
    """Return the platform that the parameter `platform` names, None if there is none; raise `InvalidInput`."""
    values = query.get_all("platform")
    if len(values) > 1:
        raise InvalidInput(
            "multiple platform parameters are not supported in this API version; use API version 1.52 or later"
        )
    return parse_platform_object(values[0]) if values and values[0] else None


def parse_platform_object(text: str) -> Platform:
    """Return the platform that `text`, such as `{"os": "linux", "architecture": "arm"}`, names.

    Raises `InvalidInput` in the words of the engine.
    """
    try:
        document = decode(text, "map[string]any")
    except InvalidInput as error:
        raise InvalidInput(f"failed to parse platform: {error}") from error
    # Go takes keys in any case.
    fields = {key.lower(): value for key, value in (document or {}).items()}
    for name in ("os", "architecture", "variant", "os.version"):
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            field = f"Go struct field Platform.{name} of type string"
            raise InvalidInput(f"failed to parse platform: json: cannot unmarshal {kind_of(value)} into {field}")
    system, architecture, variant = (fields.get(name) or "" for name in ("os", "architecture", "variant"))
    if not system and not architecture and (variant or fields.get("os.version") or fields.get("os.features")):
        raise InvalidInput("optional platform fields provided, but OS and Architecture are missing")
    if not system or not architecture:
        raise InvalidInput("both OS and Architecture must be provided")
    parts = [system, architecture, *([variant] if variant else [])]
    return Platform.parse("/".join(parts), default=Platform(system, architecture))


def check_platform(image: StoredImage, name: str, wanted: Platform | None) -> None:
    """Raise `NotFound` if `image`, asked for as `name`, is not for the platform that is `wanted`.

    Many images do not say which variant they are for, and are then taken to suit every one.
    """
    config = image.config
    if wanted is None:
        return
    found = Platform(config.os, config.architecture, config.variant)
    same = (found.os, found.architecture) == (wanted.os, wanted.architecture)
    if not same or (found.variant and wanted.variant and found.variant != wanted.variant):
        raise NotFound(
            f"image with reference {name} was found but its platform ({found}) "
            f"does not match the specified platform ({wanted})"
        )

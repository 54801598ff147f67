"""From a request and a build context to an image: the steps that a plan's ops stand for."""

from imagewright.build.builder import Builder
from imagewright.build.context import ContextLimits
from imagewright.build.named_contexts import parse_contexts
from imagewright.build.request import BuildRequest, Entitlement, Network, Surroundings

__all__ = ["BuildRequest", "Builder", "ContextLimits", "Entitlement", "Network", "Surroundings", "parse_contexts"]

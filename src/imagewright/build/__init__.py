"""From a request and a build context to an image: the steps that a plan's ops stand for."""

from imagewright.build.builder import Builder
from imagewright.build.request import BuildRequest, Network

__all__ = ["BuildRequest", "Builder", "Network"]

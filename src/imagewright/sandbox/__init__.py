"""Everything privileged: layer directories, overlayfs, the OCI runtime, cgroups and the network of a RUN.

A layer becomes a directory by `unpack`; `Sandbox.run` stacks such directories, runs one process on top of them in a
container, and leaves its changes in an upper directory; `capture` makes a layer of that. `probe` says what the machine
lacks for it.
"""

from imagewright.sandbox.attached import Attachment
from imagewright.sandbox.capturing import capture
from imagewright.sandbox.doctor import Finding, probe
from imagewright.sandbox.limits import check_limits
from imagewright.sandbox.mounts import (
    AgentMount,
    DirectoryMount,
    LayersMount,
    Mount,
    SecretMount,
    TemporaryMount,
)
from imagewright.sandbox.request import Channel, Limits, Network, OutputSink, RunRequest, Ulimit
from imagewright.sandbox.run import Sandbox
from imagewright.sandbox.runtime import architecture
from imagewright.sandbox.unpacking import unpack

__all__ = [
    "AgentMount",
    "Attachment",
    "Channel",
    "DirectoryMount",
    "Finding",
    "LayersMount",
    "Limits",
    "Mount",
    "Network",
    "OutputSink",
    "RunRequest",
    "Sandbox",
    "SecretMount",
    "TemporaryMount",
    "Ulimit",
    "architecture",
    "capture",
    "check_limits",
    "probe",
    "unpack",
]

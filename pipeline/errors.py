"""What the pipeline raises. One tree, drawn here.

PipelineError
├── Unreadable      the page is at fault: a code from mappings/findings.toml and a reason a person can act on
├── WeightsError    our installation is at fault: weights missing, or not the ones the manifest names
├── DeviceError     our installation is at fault: a GPU is asked for that cannot be used
└── LostError       a process that digitizes, or computes the networks for it, is gone
"""

from __future__ import annotations


class PipelineError(Exception):
    """Anything the pipeline raises on purpose."""


class Unreadable(PipelineError):
    """The page cannot be digitized honestly.

    code: a short stable word, such as ``not_an_ecg``, ``no_grid``, ``no_traces``, ``low_confidence``.
    why: one sentence for a person.
    sure: of ``not_an_ecg``, whether the kind of the page was told so clearly that hardly any ECG is told so.
    """

    def __init__(self, code: str, why: str, sure: bool = False) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.why = why
        self.sure = sure

    def __reduce__(self) -> tuple[type[Unreadable], tuple[str, str, bool]]:
        """Of all, so that it comes through to who asked another process."""
        return type(self), (self.code, self.why, self.sure)


class DeviceError(PipelineError):
    """The device that the networks are to run on is not there."""


class LostError(PipelineError):
    """A process that digitizes is gone, killed as by a system without memory left, or the one that computes for it."""


class WeightsError(PipelineError):
    """A network's weights are missing or their SHA-256 is not the one in weights/manifest.toml."""

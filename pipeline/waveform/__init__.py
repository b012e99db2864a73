"""Stage 2: from a rectified row of the page to millivolts with an uncertainty."""

from pipeline.waveform.classical import trace_classically
from pipeline.waveform.clock import fitted as believed
from pipeline.waveform.read import RowReader, Traced, read_traces
from pipeline.waveform.strip import COLUMNS_PER_MM, ROWS_PER_MM, RowStrip, cut_strip

__all__ = [
    "COLUMNS_PER_MM",
    "ROWS_PER_MM",
    "RowReader",
    "RowStrip",
    "Traced",
    "believed",
    "cut_strip",
    "read_traces",
    "trace_classically",
]

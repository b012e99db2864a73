"""An image of a paper ECG in, a Recording out. Knows no DICOM, HL7, database or hospital."""

__version__ = "0.1.0"

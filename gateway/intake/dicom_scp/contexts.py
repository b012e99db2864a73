"""What the C-STORE door takes: the SOP classes a page can come in, and how it may be encoded."""

from __future__ import annotations

from pydicom import uid
from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext, build_context

VERIFICATION = UID("1.2.840.10008.1.1")  # C-ECHO

# PS3.4 B.5: images that can be a page, and documents that can hold one
STORAGE_CLASSES: tuple[UID, ...] = tuple(
    UID(number)
    for number in (
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image
        "1.2.840.10008.5.1.4.1.1.7.1",  # Multi-frame Single Bit Secondary Capture
        "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte Secondary Capture
        "1.2.840.10008.5.1.4.1.1.7.3",  # Multi-frame Grayscale Word Secondary Capture
        "1.2.840.10008.5.1.4.1.1.7.4",  # Multi-frame True Color Secondary Capture
        "1.2.840.10008.5.1.4.1.1.77.1.4",  # VL Photographic Image
        "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF
        "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography Image
        "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray Image, for presentation
        "1.2.840.10008.5.1.4.1.1.1.1.1",  # Digital X-Ray Image, for processing
        "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image
        "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image
    )
)

# In our order of preference where a sender offers several in one context: uncompressed, lossless, lossy.
# Deflated is missing on purpose: 400 KB of it can inflate to a gigabyte before any cap can look.
TRANSFER_SYNTAXES: tuple[UID, ...] = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.RLELossless,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
)


def supported_contexts() -> list[PresentationContext]:
    """C-ECHO, and C-STORE of every class in every syntax."""
    storage = [build_context(sop_class, list(TRANSFER_SYNTAXES)) for sop_class in STORAGE_CLASSES]
    return [build_context(VERIFICATION), *storage]

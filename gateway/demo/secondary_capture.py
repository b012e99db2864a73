"""A page as a modality would send it: a DICOM Secondary Capture object."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid


def secondary_capture(image: npt.NDArray[np.uint8], patient_id: str, name: str, acquired_at: str) -> bytes:
    """image: uint8 (H, W, 3) RGB; acquired_at: DICOM DT. Returns a Part 10 file, new UIDs each time."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = patient_id, name, "19600131", "F"
    ds.StudyDate, ds.StudyTime = acquired_at[:8], acquired_at[8:14]
    ds.AcquisitionDateTime = acquired_at
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "A0001", "1", ""
    ds.Modality, ds.ConversionType = "OT", "SD"
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.Rows, ds.Columns = image.shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    pixels = image.tobytes()
    ds.PixelData = pixels + b"\0" * (len(pixels) % 2)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    out = BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()

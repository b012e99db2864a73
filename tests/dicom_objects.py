"""DICOM objects for tests: small images and documents of every form that a door takes."""

from __future__ import annotations

import io
from pathlib import Path

import gdcm
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")
MULTI_FRAME_GREY_BYTE = UID("1.2.840.10008.5.1.4.1.1.7.2")
ENCAPSULATED_PDF = UID("1.2.840.10008.5.1.4.1.1.104.1")


def dicom_object(sop_class: str = SECONDARY_CAPTURE, syntax: str = uid.ExplicitVRLittleEndian) -> FileDataset:
    """A patient, a study and an order, and no content yet."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    made = FileDataset(
        "",
        {},
        file_meta=meta,
        preamble=bytes(128),
        is_implicit_VR=meta.TransferSyntaxUID.is_implicit_VR,
        is_little_endian=meta.TransferSyntaxUID.is_little_endian,
    )
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID = sop_class
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    made.StudyDate, made.StudyTime = "20240131", "143005"
    made.AccessionNumber = "A-17"
    made.Modality = "OT"
    made.InstitutionName = "Hôpital"
    made.ReferringPhysicianName = "Haus^Gregor"
    made.PatientName = "Müller^Jörg"
    made.PatientID = "P-4711"
    made.IssuerOfPatientID = "WARD"
    made.PatientBirthDate = "19500203"
    made.PatientSex = "M"
    made.StudyInstanceUID = uid.generate_uid()
    made.SeriesInstanceUID = uid.generate_uid()
    made.StudyID = "S1"
    return made


def put_pixels(made: Dataset, frames: npt.NDArray[np.generic], photometric: str = "MONOCHROME2") -> None:
    """Uncompressed pixels. frames: (n, rows, columns) or (n, rows, columns, 3)."""
    made.NumberOfFrames = frames.shape[0]
    made.Rows, made.Columns = frames.shape[1:3]
    made.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    if made.SamplesPerPixel == 3:
        made.PlanarConfiguration = 0
    made.PhotometricInterpretation = photometric
    bits = frames.dtype.itemsize * 8
    made.BitsAllocated, made.BitsStored, made.HighBit = bits, bits, bits - 1
    made.PixelRepresentation = 0
    data = frames.astype(frames.dtype.newbyteorder("<")).tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OW" if bits > 8 else "OB"


def put_fragments(made: Dataset, frames: list[bytes]) -> None:
    """Compressed frames in place of the pixels; the attributes stay."""
    made.PixelData = encapsulate(frames)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True


def compressed(path: Path, syntax: str) -> Path:
    """A copy of a DICOM file in a compressed transfer syntax, made by GDCM."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    target = path.with_name(f"{path.name}.{syntax}")
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target


def save(made: FileDataset, path: Path) -> Path:
    syntax = made.file_meta.TransferSyntaxUID
    made.save_as(
        path, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian, enforce_file_format=True
    )
    return path


def gradient(rows: int = 40, columns: int = 60) -> npt.NDArray[np.uint8]:
    """uint8 (rows, columns): dark at the left, light at the right, with one black line across."""
    image = np.broadcast_to(np.linspace(40, 250, columns).astype(np.uint8), (rows, columns)).copy()
    image[rows // 2] = 0
    return image


def colours(rows: int = 40, columns: int = 60) -> npt.NDArray[np.uint8]:
    """uint8 (rows, columns, 3): red, green and blue thirds."""
    image = np.zeros((rows, columns, 3), np.uint8)
    for channel in range(3):
        image[:, channel * columns // 3 : (channel + 1) * columns // 3, channel] = 200
    return image


def encoded(image: npt.NDArray[np.generic] | Image.Image, form: str, **options: object) -> bytes:
    """An image in a file format of Pillow's."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def pdf_of(*images: npt.NDArray[np.generic], dpi: float = 200) -> bytes:
    """A PDF with one picture per page, each as large as its page."""
    pages = [Image.fromarray(image) for image in images]
    return encoded(pages[0], "PDF", save_all=True, append_images=pages[1:], resolution=dpi)


def encapsulated_pdf(content: bytes) -> FileDataset:
    made = dicom_object(ENCAPSULATED_PDF)
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    return made

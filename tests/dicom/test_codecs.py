"""Every way to store pixels, signed and unsigned, in 12, 16 and 32 bits, and streams that lie about their size."""

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate

from cspine.dicom import Vendor, scan
from cspine.dicom.pixel_child import j2k_size, jpeg_size
from cspine.dicom.volume import decode_images
from cspine.domain import UnsupportedSeries
from tests.dicom.builders import codes, edit, load, message, stored, volume, write

ENCODERS: dict[str, tuple[str, Callable[[np.ndarray], bytes | bytearray]]] = {
    "JPEG Lossless": ("1.2.840.10008.1.2.4.70", lambda a: imagecodecs.jpeg_encode(a, lossless=True, predictor=1)),
    "JPEG Lossless, predictor 6": ("1.2.840.10008.1.2.4.57", imagecodecs.ljpeg_encode),
    "JPEG-LS": ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
    "JPEG 2000": ("1.2.840.10008.1.2.4.90", lambda a: imagecodecs.jpeg2k_encode(a, reversible=True, codecformat="j2k")),
    "HTJ2K": ("1.2.840.10008.1.2.4.201", lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
}


def compress(
    paths: list[Path], syntax: str, encode: Callable[[np.ndarray], bytes | bytearray], signed_stream: bool
) -> None:
    def change(dataset: Dataset) -> None:
        values = stored(dataset)
        mask = np.uint16((1 << dataset.BitsStored) - 1)
        stream = encode(values if signed_stream else values.view(np.uint16) & mask)
        dataset.PixelData = encapsulate([bytes(stream)])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax

    edit(paths, change)


@pytest.mark.parametrize("vendor", [Vendor.SIEMENS, Vendor.GE])
@pytest.mark.parametrize("name", ENCODERS)
def test_every_codec_gives_the_same_hu_from_any_bits(tmp_path: Path, name: str, vendor: Vendor) -> None:
    of = volume((5, 32, 40))
    syntax, encode = ENCODERS[name]
    compress(write(tmp_path, of, vendor), syntax, encode, signed_stream=False)
    read = load(tmp_path)
    assert np.array_equal(read.volume.hu, of.hu)
    assert codes(read) == set()


def test_a_signed_jpeg_2000_stream_is_read_as_such(tmp_path: Path) -> None:
    of = volume((5, 32, 40))
    syntax, encode = ENCODERS["JPEG 2000"]
    compress(write(tmp_path, of, Vendor.GE), syntax, encode, signed_stream=True)
    assert np.array_equal(load(tmp_path).volume.hu, of.hu)


def test_rle_is_read(tmp_path: Path) -> None:
    of = volume((5, 32, 40))
    edit(write(tmp_path, of, Vendor.GE), lambda dataset: dataset.compress(pydicom.uid.RLELossless))
    assert np.array_equal(load(tmp_path).volume.hu, of.hu)


@pytest.mark.parametrize("signed", [True, False])
def test_values_of_32_bits_are_read(tmp_path: Path, signed: bool) -> None:
    of = volume((5, 32, 40))

    def change(dataset: Dataset) -> None:
        wide = stored(dataset).astype(np.int32) + (0 if signed else 5000)
        dataset.BitsAllocated = dataset.BitsStored = 32
        dataset.HighBit = 31
        dataset.PixelRepresentation = int(signed)
        dataset.RescaleIntercept = 0 if signed else -5000
        dataset.PixelData = wide.tobytes()

    edit(write(tmp_path, of), change)
    read = load(tmp_path).volume.hu
    assert read.dtype == np.int16
    assert np.array_equal(read, of.hu)


def test_a_lossy_stream_without_a_word_is_flagged_with_its_measured_ratio(tmp_path: Path) -> None:
    def lossy(values: np.ndarray) -> bytes | bytearray:
        return imagecodecs.jpeg2k_encode(values, level=60, codecformat="j2k")

    paths = write(tmp_path, volume((5, 64, 64)), Vendor.GE)
    compress(paths, "1.2.840.10008.1.2.4.91", lossy, signed_stream=False)
    assert "compressed with loss at a ratio of" in message(load(tmp_path), "lossy")


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("trouble", ["other size", "color", "half", "noise", "nothing"])
def test_a_damaged_stream_is_one_error_that_names_the_file(tmp_path: Path, name: str, trouble: str) -> None:
    syntax, encode = ENCODERS[name]
    rng = np.random.default_rng(0)

    def damage(values: np.ndarray) -> bytes | bytearray:
        if trouble == "other size":
            return encode(values[:-3])
        if trouble == "color" and name != "JPEG Lossless, predictor 6":  # that encoder makes no color
            return encode(np.ascontiguousarray(np.stack([values] * 3, axis=-1)).astype(np.uint16))
        stream = bytes(encode(values))
        streams = {"half": stream[: len(stream) // 4], "noise": rng.bytes(500), "nothing": b"\0\0"}
        return streams.get(trouble, b"no color")

    paths = write(tmp_path, volume((5, 32, 40)))
    compress(paths[2:3], syntax, damage, signed_stream=False)
    for path in paths[:2] + paths[3:]:
        compress([path], syntax, encode, signed_stream=False)
    with pytest.raises(UnsupportedSeries, match=r"3\.dcm: pixel data cannot be decoded"):
        load(tmp_path)


def test_a_truncated_rle_frame_is_refused(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        dataset.compress(pydicom.uid.RLELossless)
        frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([frame[:600]])

    path = write(tmp_path, volume((5, 32, 40)))[2]
    edit([path], change)
    (study,) = scan([path]).studies
    with pytest.raises(UnsupportedSeries, match=r"3\.dcm: pixel data cannot be decoded"):
        decode_images(study.series[0].images)


def test_sizes_are_read_from_the_streams_themselves() -> None:
    plane = np.zeros((20, 30), np.uint16)
    for name in ("JPEG Lossless", "JPEG-LS", "JPEG Lossless, predictor 6"):
        assert jpeg_size(bytes(ENCODERS[name][1](plane))) == (20, 30, 1)
    assert j2k_size(bytes(ENCODERS["JPEG 2000"][1](plane))) == (20, 30, 1, 16, False)
    with pytest.raises(ValueError, match="no frame header"):
        jpeg_size(b"\xff\xd8" + b"\0" * 50)
    with pytest.raises(ValueError, match="no SIZ marker"):
        j2k_size(b"\0" * 500)

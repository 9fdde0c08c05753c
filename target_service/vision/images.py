"""From what a client sent to pixels, within limits that hold before anything is unpacked."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from target_service.protocol.errors import RequestRejectedError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BYTES_MAX", "PIXELS_MAX", "SIDE_MAX_PX", "as_png", "decode_image", "image_size", "unwrap"]

# The largest file and picture taken: full HD fits, a decompression bomb does not. A whole body may have 4 MiB.
BYTES_MAX = 3_000_000
PIXELS_MAX = 2 * 2**20
SIDE_MAX_PX = 8192
FORMATS = ("PNG", "JPEG")


def unwrap(text: str, param: str = "image") -> bytes:
    """The bytes of a base64 text; raises RequestRejectedError: 413 if it is too long, 422 if it is not base64."""
    if len(text) * 3 // 4 > BYTES_MAX:
        raise RequestRejectedError(
            413, f"{param} is larger than {BYTES_MAX} bytes.", param=param, code="image_too_large"
        )
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused(param, f"{param} is not base64 ({error}).") from error
    if not data:
        raise _refused(param, f"{param} is empty.")
    return data


def image_size(data: bytes, param: str = "image") -> tuple[int, int]:
    """Width and height in pixels, of an image that decodes; raises as decode_image does."""
    height, width, _ = decode_image(data, param=param).shape
    return width, height


def decode_image(data: bytes, target_px: tuple[int, int] | None = None, param: str = "image") -> npt.NDArray[np.uint8]:
    """The image's RGB pixels, shape (height, width, 3), brought to `target_px` (width, height) if that is given.

    Raises RequestRejectedError: 413 for one too large, 422 for what is no whole PNG or JPEG.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            # Only the header is read so far.
            _check_size(image, param)
            rgb = image.convert("RGB")
            if target_px is not None and rgb.size != target_px:
                rgb = rgb.resize(target_px, Image.Resampling.BICUBIC)
            return np.asarray(rgb)
    except RequestRejectedError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(param) from error
    # A damaged file raises anything from OSError to struct.error.
    except Exception as error:
        raise _refused(param, f"{param} is not a whole PNG or JPEG image.") from error


def as_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The pixels, shape (height, width, 3), as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _check_size(image: Image, param: str) -> None:
    width, height = image.size
    if width * height > PIXELS_MAX or max(width, height) > SIDE_MAX_PX:
        raise _too_large(param)


def _too_large(param: str) -> RequestRejectedError:
    limit = f"{param} has more than {PIXELS_MAX} pixels or a side of more than {SIDE_MAX_PX}."
    return RequestRejectedError(413, limit, param=param, code="image_too_large")


def _refused(param: str, problem: str) -> RequestRejectedError:
    return RequestRejectedError(422, problem, param=param, code="bad_image")

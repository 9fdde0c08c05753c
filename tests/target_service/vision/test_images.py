"""What is taken for an image, and what is refused before it is unpacked."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from target_service.protocol.errors import RequestRejectedError
from target_service.vision.images import BYTES_MAX, as_png, decode_image, image_size, unwrap

RED = np.full((20, 30, 3), (255, 0, 0), np.uint8)


def saved(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "I;16", "LA"])
def test_every_kind_of_png_becomes_rgb(mode: str) -> None:
    image = Image.new(mode, (30, 20))
    pixels = decode_image(saved(image, "PNG"))
    assert pixels.shape == (20, 30, 3) and pixels.dtype == np.uint8


def test_a_png_is_exact_a_jpeg_is_near_and_both_are_resized() -> None:
    assert (decode_image(as_png(RED)) == RED).all()
    jpeg = saved(Image.fromarray(RED), "JPEG")
    assert np.abs(decode_image(jpeg).astype(int) - RED).max() < 8
    assert decode_image(as_png(RED), (14, 28)).shape == (28, 14, 3)
    assert image_size(as_png(RED)) == (30, 20)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP"])
def test_other_formats_are_refused_by_their_content(kind: str) -> None:
    with pytest.raises(RequestRejectedError, match="is not a whole PNG or JPEG") as refused:
        decode_image(saved(Image.fromarray(RED), kind))
    assert refused.value.status == 422


@given(st.integers(0, 10_000), st.binary(max_size=4))
def test_damage_anywhere_is_refused_or_harmless_and_nothing_else(at: int, noise: bytes) -> None:
    whole = as_png(np.random.default_rng(1).integers(0, 255, (20, 30, 3), dtype=np.uint8))
    at %= len(whole)
    damaged = whole[:at] + noise + whole[at + len(noise) :]
    status = 200
    try:
        decode_image(damaged)
    except RequestRejectedError as refused:
        status = refused.status
    assert status in {200, 413, 422}


@pytest.mark.parametrize(("width", "height"), [(8193, 1), (1, 8193), (2049, 1025), (9_000, 9_000)])
def test_too_many_pixels_are_refused(width: int, height: int) -> None:
    # One bit each, so that even the largest is a small file.
    data = saved(Image.new("1", (width, height)), "PNG")
    assert len(data) < BYTES_MAX
    with pytest.raises(RequestRejectedError, match="pixels or a side of more than") as refused:
        decode_image(data)
    assert refused.value.status == 413


def test_full_hd_is_taken() -> None:
    assert image_size(saved(Image.new("1", (1920, 1080)), "PNG")) == (1920, 1080)


def test_base64_may_have_line_ends_and_nothing_else_odd() -> None:
    text = base64.encodebytes(as_png(RED)).decode()
    assert "\n" in text and unwrap(text) == as_png(RED)
    for bad in ("", "a", "====", "data:image/png;base64,AAAA", "ä"):
        with pytest.raises(RequestRejectedError) as refused:
            unwrap(bad)
        assert refused.value.status == 422
    with pytest.raises(RequestRejectedError) as refused:
        unwrap("A" * (BYTES_MAX * 2))
    assert refused.value.status == 413


def test_pillow_comes_with_the_target(tmp_path: Path) -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert any(need.startswith("pillow") for need in project["optional-dependencies"]["target"])
    assert not any("torchvision" in json.dumps(needs) for needs in project["optional-dependencies"].values())

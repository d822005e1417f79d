"""Base64 beside the standard library's: every length of tail, every byte, and text that is none."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmx.backends.native import decode_base64


@given(st.binary(max_size=200))
def test_what_the_standard_library_encodes_is_decoded(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data)) == data


def is_the_text_of_some_bytes(text: bytes) -> bool:
    """By the standard library: strict, and no bits set that padding leaves unused."""
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)) == text
    except ValueError:
        return False


@given(st.text(alphabet="AQgw9+/=- \n\xff", max_size=12))
def test_other_text_is_refused(text: str) -> None:
    encoded = text.encode("latin-1")
    if is_the_text_of_some_bytes(encoded):
        assert decode_base64(encoded) == base64.b64decode(encoded)
    else:
        with pytest.raises(ValueError, match="expected base64"):
            decode_base64(encoded)


def test_a_view_is_decoded_without_a_copy() -> None:
    assert decode_base64(memoryview(b"xxTWFu")[2:]) == b"Man"

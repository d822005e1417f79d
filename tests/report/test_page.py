"""The page stands by itself, says what it shows and breaks on no model."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from rbmx.bits import PackedBits
from rbmx.checkpoint import Checkpoint
from rbmx.params import RBMParams
from rbmx.report import build_page, gather, visible_shape, write_report
from rbmx.rng import Key
from rbmx.training import EpochRecord, TrainConfig

VOID = {"meta", "img", "br", "link"}


class Wellformed(HTMLParser):
    """Collects addresses and ids, and fails where tags do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def record(epoch: int, validation: float | None = None) -> EpochRecord:
    return EpochRecord(epoch, 60, 0.5, 120.0, 0.1, 0.3 / epoch, -5.0, validation, validation)


def page_of(n_visible: int, n_hidden: int, *, data: bool = True, epochs: int = 3, **options: object) -> str:
    params = RBMParams.initial(n_visible, n_hidden, key=Key(1), std=0.5)
    history = [record(i + 1, options.pop("validation", None)) for i in range(epochs)]
    rows = PackedBits.pack(np.random.default_rng(0).random((7, n_visible)) < 0.5) if data else None
    evidence = gather(params, rows, key=Key(0), steps=10, chains=5)
    checkpoint = Checkpoint(params, config=TrainConfig(), history=history, extra={"data": "d/rows.npy"})
    return build_page(checkpoint, evidence, shape=visible_shape(n_visible), **options)


@pytest.mark.parametrize("n_visible", [1, 9, 63, 64, 130])
@pytest.mark.parametrize("data", [True, False])
def test_the_page_is_well_formed_and_needs_nothing_else(n_visible, data):
    page = page_of(n_visible, 5, data=data)
    parsed = Wellformed()
    parsed.feed(page)
    assert parsed.open == []
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in parsed.addresses)
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert not re.search(r"<script|@import|url\((?!data:|#)|https?://(?!www\.w3\.org/)", page)


def test_every_part_is_there_with_data():
    page = page_of(9, 5, origin={"command": "rbmx fit x", "seed": "3"})
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert len(titles) == 6
    assert "rbmx fit x" in page and "<td>3</td>" in page and "rows.npy" in page


def test_parts_without_evidence_are_left_out():
    page = page_of(9, 5, data=False, epochs=0)
    assert len(re.findall(r"<h2>", page)) == 3  # filters, chain, numbers


def test_validation_is_drawn_when_it_was_measured():
    params = RBMParams.initial(9, 5, key=Key(1))
    evidence = gather(params, None, key=Key(0), steps=2, chains=2)
    history = [record(1, 0.4), record(2, 0.3)]
    page = build_page(Checkpoint(params, history=history), evidence, shape=(3, 3))
    assert "validation 0.3" in page and "overfitting" in page


def test_text_from_outside_is_escaped():
    page = page_of(9, 5, title="<b>&", facts=[("<i>", "<u>", "&")], origin={"command": "<script>"})
    assert "<b>" not in page and "<i>" not in page and "<script>" not in page
    assert "&lt;b&gt;&amp;" in page


def test_charts_are_xml_and_take_their_colours_from_the_page():
    charts = re.findall(r"<svg.*?</svg>", page_of(9, 5), flags=re.DOTALL)
    assert len(charts) == 6
    for chart in charts:
        ElementTree.fromstring(chart)
        assert "var(--" in chart and "DejaVu" not in chart


def test_the_same_model_gives_the_same_page(tmp_path):
    assert page_of(16, 4) == page_of(16, 4)
    params = RBMParams.initial(16, 4, key=Key(1))
    evidence = gather(params, None, key=Key(0), steps=2)
    write_report(tmp_path / "r.html", Checkpoint(params), evidence, shape=(4, 4))
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_equal_weights_and_a_single_epoch_are_no_problem():
    params = RBMParams(np.zeros((2, 9), np.float32), np.zeros(9, np.float32), np.zeros(2, np.float32))
    evidence = gather(params, None, key=Key(0), steps=1)
    assert "<svg" in build_page(Checkpoint(params, history=[record(1)]), evidence, shape=(3, 3))

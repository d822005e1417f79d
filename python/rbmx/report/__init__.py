"""Pictures of a trained model and one self-contained HTML page about it; needs matplotlib.

`write_report` is the whole of it; `save_tiles` writes samples as one picture.
"""

from __future__ import annotations

from rbmx.report.evidence import Evidence, gather
from rbmx.report.images import save_tiles, visible_shape
from rbmx.report.page import build_page, write_report

__all__ = ["Evidence", "build_page", "gather", "save_tiles", "visible_shape", "write_report"]

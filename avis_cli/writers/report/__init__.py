"""Results as pages for a browser: ``report.html`` for a clip, ``index.html`` for a folder of clips.

Each page is one file that needs no network and opens from disk.
"""

from avis_cli.writers.report.clip_report import report_clip
from avis_cli.writers.report.index import Summary, read_summary, write_index
from avis_cli.writers.report.page import write_report

__all__ = ["Summary", "read_summary", "report_clip", "write_index", "write_report"]

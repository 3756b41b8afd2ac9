"""The page of a report: one HTML file that needs nothing beside it."""

from conceptscope._page._page import report_page

__all__ = ["report_page"]

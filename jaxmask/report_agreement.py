"""Masks against labels and truth as charts: confusion by surface and light, ROC, reliability."""

from __future__ import annotations

from jaxmask.report_numbers import Chart, Record


def agreement_charts(evaluation: Record) -> tuple[Chart, ...]:
    """The charts of `evaluation.json`, in the order of the page."""
    return ()

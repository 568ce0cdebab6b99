"""A seed → short narrated news-like videos with articles, captions and gold event coreference."""

from pipeline_lib.collect.sources.demo.source import DemoSource
from pipeline_lib.collect.sources.demo.words import QUERIES

__all__ = ["QUERIES", "DemoSource"]

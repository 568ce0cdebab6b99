"""Staged data and feature pipeline for video-text research: queries in, evaluated models out."""

__version__ = "0.1.0"

"""Ego4D visual queries in 2D: annotations → clips → detections of a crop → peaks → scores (VQ2D, EgoLoc)."""

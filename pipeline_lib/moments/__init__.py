"""Moment retrieval: where in a video a sentence happens (MESM)."""

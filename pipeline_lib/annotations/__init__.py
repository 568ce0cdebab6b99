"""Annotation files of the moment-retrieval datasets → `Moment`s; one module per dataset, `datasets.read` for all of them."""

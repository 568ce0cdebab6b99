"""`python -m pipeline_lib.config` → the JSON schema of config.yaml."""

from pipeline_lib.config import schema

print(schema(), end="")

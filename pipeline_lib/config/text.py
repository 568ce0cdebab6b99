"""Configuration of tokens and word vectors."""

from pydantic import Field

from pipeline_lib.config.base import Section


class Text(Section):
    dimension: int = Field(300, ge=8, description="of the word vectors derived from captions")
    context: int = Field(32, ge=3, description="CLIP tokens per sentence including start and end")

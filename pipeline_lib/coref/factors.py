"""The configured coref section → its variants, one factor at a time away from it; imports little, for the workflow's sake."""

from typing import Any

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.coref import Coref
from pipeline_lib.core.errors import UserError

BASE = "base"
#: Factor → the options that it sets.
FACTORS: dict[str, tuple[tuple[str, str], ...]] = {
    "look_window": (("data", "look_window"),),
    "candidates": (("data", "candidates"), ("data", "candidates_eval")),
    "loss": (("training", "loss"),),
    "weight_global": (("evaluation", "weight_global"),),
}


def configured(options: Coref, factor: str) -> Any:
    """The value that a factor has in the configuration."""
    section, name = FACTORS[factor][0]
    return getattr(getattr(options, section), name)


def variants(options: Coref) -> list[tuple[str, str]]:
    """(factor, value) of every run: the configured one as (base, base), then each other value of each factor."""
    found = [(BASE, BASE)]
    for factor in FACTORS:
        values = [value for value in getattr(options.ablation, factor) if value != configured(options, factor)]
        found += [(factor, str(value)) for value in dict.fromkeys(values)]
    return found


def options_of(options: Coref, factor: str, value: str) -> Coref:
    """The configured options with one factor set to a value.

    Raises:
        UserError: a factor or value that isn't among those of `variants`.
    """
    if factor == BASE:
        return options
    if factor not in FACTORS:
        raise UserError(f"{factor!r} is no factor of the ablation; there are {', '.join((BASE, *FACTORS))}")
    values = {str(known): known for known in getattr(options.ablation, factor)}
    if value not in values:
        raise UserError(f"{value!r} is not among coref.ablation.{factor}: {', '.join(values)}")
    changed = as_dict(options)
    for section, name in FACTORS[factor]:
        changed[section][name] = values[value]
    return Coref.model_validate(changed)

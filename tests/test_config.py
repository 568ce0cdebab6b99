from pathlib import Path

import pytest
import yaml

from pipeline_lib import config
from pipeline_lib.core.errors import UserError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shard": 3}, "shard: no such key; remove it or correct its spelling"),
        ({"features": {"s3d": {"fps": "fast"}}}, "features.s3d.fps = 'fast': Input should be a valid number"),
        ({"shards": 0}, "shards = 0: Input should be greater than or equal to 1"),
        ({"coref": {"data": {"candidates": 50}}}, "lower the first or raise the second"),
        ({"source": {"demo": {"min_seconds": 30, "max_seconds": 20}}}, "raise it"),
        ({"paths": {"work": "x", "results": "x"}}, "give them different folders"),
        ({"seed": float("nan")}, "seed = nan"),
    ],
)
def test_mistakes_name_key_value_and_fix(values, message):
    with pytest.raises(UserError) as error:
        config.load(values)
    assert message in str(error.value)


@pytest.mark.parametrize("key", ["s3d", "objects", "words"])
def test_missing_files_are_named_before_anything_runs(key, tmp_path):
    with pytest.raises(UserError, match=rf"weights\.{key} = 'no/x\.pth': no such file"):
        config.load({"weights": {key: "no/x.pth"}}, base=tmp_path)


def test_schema_is_the_committed_one():
    committed = (ROOT / "workflow/schemas/config.schema.json").read_text()
    assert committed == config.schema(), "run `make schema`"


def test_default_config_file_is_valid_and_complete():
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    loaded = config.load(values)
    assert config.as_dict(loaded) == config.as_dict(config.Config.model_validate(values))
    missing = _missing(config.as_dict(loaded), values)
    assert not missing, f"config.yaml has no line for {missing}"


def test_every_key_of_the_default_config_has_a_comment():
    lines = (ROOT / "config.yaml").read_text().splitlines()
    keys = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "-"))]
    assert [line for line in keys if "#" not in line] == []


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_overlays_are_valid(path):
    values = yaml.safe_load(path.read_text())
    if path.name.endswith("_texts.yaml"):
        pytest.skip("texts of the sample, not a configuration")
    config.load(values)


def _missing(full: dict, given: dict, prefix: str = "") -> list[str]:
    missing = []
    for key, value in full.items():
        if key not in given:
            missing.append(prefix + key)
        elif isinstance(value, dict):
            missing += _missing(value, given[key], f"{prefix}{key}.")
    return missing


@pytest.mark.parametrize("path", ["w o", "a'b", "$HOME/work", "work;x", "{shard}"])
def test_folders_that_shell_commands_cannot_take_are_refused(path):
    with pytest.raises(UserError, match=r"paths\.work .*plainer name"):
        config.load({"paths": {"work": path}})


def test_every_training_process_has_work():
    with pytest.raises(UserError, match=r"accumulate \(2\) batches can't occupy 4 processes"):
        config.load({"coref": {"training": {"processes": 4, "accumulate": 2}}})


def test_a_section_in_place_of_a_value_is_named():
    with pytest.raises(UserError, match=r"coref\.training\.epochs: Input should be a valid integer"):
        config.load({"coref": {"training": {"epochs": {"a": 1}}}})

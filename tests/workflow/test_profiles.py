"""The profiles fit the rules: names that exist, networks on GPU nodes only, no limit by which the SLURM plugin loses jobs."""

import pytest
import yaml
from workflow_rules import ROOT, RULES

from pipeline_lib.annotations import datasets

SLURM = yaml.safe_load((ROOT / "workflow/profiles/slurm/profile.yaml").read_text())
ARRAYS = {name.strip() for name in SLURM["slurm-array-jobs"].split(",")}


def test_every_rule_of_the_slurm_profile_exists():
    named = ARRAYS | set(SLURM["set-resources"]) | set(SLURM["set-threads"])
    splits = {f"moments_eval_{split}" for dataset in datasets.Dataset for split in datasets.splits(dataset)}
    assert named <= set(RULES) | splits


def test_what_computes_on_a_device_asks_for_one():
    assert {rule for rule, text in RULES.items() if "--device" in text} == {
        rule for rule, text in RULES.items() if "gpu=config" in text
    }


@pytest.mark.parametrize("rule", sorted(RULES))
def test_gpu_nodes_are_for_rules_that_may_use_one(rule):
    assert ("gpu=config" in RULES[rule]) == ("gpu" in SLURM["set-resources"].get(rule, {}))
    of_rule = SLURM["set-resources"].get(rule, {})
    partition = of_rule.get("slurm_partition", SLURM["default-resources"]["slurm_partition"])
    assert partition == ("'gpu'" if of_rule.get("gpu") else "'cpu'")


def test_arrays_are_of_rules_with_shards():
    assert all("{shard}" in RULES[rule] for rule in ARRAYS)


def test_nothing_holds_back_jobs_of_an_array():
    """The plugin forgets jobs of an array when others of the rule are ready but not yet selected (its issue 473)."""
    number, _, span = SLURM["max-jobs-per-timespan"].partition("/")
    assert SLURM["jobs"] >= 100_000 and int(number) >= 100_000 and span == "1s"
    assert not {"max-jobs-per-second", "resources", "cores"} & set(SLURM)

import pipeline_lib
from pipeline_lib.core import provenance


def test_record_depends_on_the_configuration_not_on_the_time():
    def record(config):
        return provenance.record(config, specs={}, weights={"s3d": {"sha256": "x"}}, device="cpu")

    assert record({"a": 1, "b": 2}) == record({"b": 2, "a": 1})
    assert record({"a": 1})["config_sha256"] != record({"a": 2})["config_sha256"]
    found = record({})
    assert found["code"]["version"] == pipeline_lib.__version__ and found["packages"]["torch"] != "absent"
    assert found["weights"] == {"s3d": {"sha256": "x"}} and found["device"] == "cpu"

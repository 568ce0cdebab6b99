from pipeline_lib.core.spec import Spec


def test_id_depends_on_everything_that_decides_values():
    base = Spec("s3d", {"fps": 10}, weights="w", code="c")
    others = [Spec("objects", {"fps": 10}, "w", "c"), Spec("s3d", {"fps": 5}, "w", "c")]
    others += [Spec("s3d", {"fps": 10}, "v", "c"), Spec("s3d", {"fps": 10}, "w", "d")]
    assert len({spec.id for spec in [base, *others]}) == 5
    assert base.id == Spec("s3d", {"fps": 10}, "w", "c").id and len(base.id) == 8
    assert base.json() == '{"code":"c","options":{"fps":10},"stage":"s3d","weights":"w"}'

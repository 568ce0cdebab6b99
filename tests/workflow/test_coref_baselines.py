"""What the baselines need is made when they are asked for, and only then."""

import pytest
from workflow_project import TINY, Project

WITH_NETWORKS = {**TINY["coref"], "evaluation": {"bootstrap": 20, "baselines": ["clip", "mil_nce"]}}


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [False, True])
def test_files_of_baselines_are_inputs_only_when_wanted(tmp_path, wanted):
    project = Project.create(tmp_path / "project", **({"coref": WITH_NETWORKS} if wanted else {}))
    command = next(line for line in project.run("-n", "-p").stdout.splitlines() if "coref.evaluate " in line)
    for option in ("--clip=work/clip.hdf5", "--clip-weights=work/weights/clip.safetensors", "--s3d=work/s3d.hdf5"):
        assert (option in command) == wanted
    assert "--predictions work/coref/predictions.json" in command
    assert ("--weights=work/weights/clip.json" in command) == wanted

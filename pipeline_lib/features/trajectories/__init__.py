"""Videos and prompts → a matrix of their similarities, as s3d_evaluator.py of Dont-Care-Didnt-Ask/S3D_HowTo100M draws it.

    frames ─▶ models ─▶ __main__ ─▶ report

`python -m pipeline_lib.features.trajectories --help`
"""

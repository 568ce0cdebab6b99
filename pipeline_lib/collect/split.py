"""vid_urls.json → one list of videos per shard, shards/{shard}.json, and shards.json with their sizes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.core import arguments, cli, files, ids

REOPENED = "reopened"  # key of an entry: how often collect/retry.py opened the video again


def split(videos: dict[str, Any], n_shards: int) -> list[dict[str, Any]]:
    """The videos of each shard; a video's shard depends on its id alone, and ids that can't be used are kept as they are."""
    shards: list[dict[str, Any]] = [{} for _ in range(n_shards)]
    for video_id in sorted(videos):
        shards[ids.shard_of(video_id, n_shards)][video_id] = videos[video_id]
    return shards


def main(
    videos: Annotated[Path, typer.Argument(help="vid_urls.json")],
    shards: arguments.Shards,
    out: Annotated[Path, typer.Option(help="shards.json; the lists go into a folder of the same name beside it")],
) -> None:
    """Spread the videos over the shards. A list that stays the same is not touched, so nothing that reads it runs again."""
    parts = split(files.read_entries(videos), shards)
    for index, part in enumerate(parts):
        path = out.with_suffix("") / f"{ids.shard_name(index)}.json"
        old = files.read_json(path) if path.exists() else {}
        for video_id in part.keys() & old.keys():
            if REOPENED in old[video_id]:
                part[video_id] = {**part[video_id], REOPENED: old[video_id][REOPENED]}
        if old != part or not path.exists():
            files.write_json(path, part)
    files.write_json(out, {ids.shard_name(index): len(part) for index, part in enumerate(parts)})


if __name__ == "__main__":
    cli.run(main)

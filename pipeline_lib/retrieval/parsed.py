"""Captions cut into words by a parser (mwray/Semantic-Video-Retrieval), as CSV or JSON → captions with words or synsets.

Wray et al., "On semantic similarity in video retrieval" (CVPR 2021). Columns: `narration`, and those of the proxy; with
`narration_id` (otherwise rows are numbered from 0) and `video_id` (otherwise each caption has a video of its own).
"""

from pathlib import Path

from pipeline_lib.retrieval.annotations import Caption, Proxy
from pipeline_lib.retrieval.tables import cell, rows

COLUMNS = {
    Proxy.BOW: ("non_stop_words",),
    Proxy.POS: ("parsed_verbs", "parsed_nouns"),
    Proxy.SYN: ("parsed_verb_classes", "parsed_noun_classes"),
}


def read(path: Path, proxy: Proxy) -> list[Caption]:
    """The captions of a file, in its order."""
    needed = ("narration", *COLUMNS[proxy])
    expected = f"CSV or a JSON list of objects with {', '.join(needed)} (scripts/parse_dataframe.py makes them)"
    found = []
    for number, (line, row) in enumerate(rows(path, needed, expected)):
        parts = [cell(row, column, path, line) for column in COLUMNS[proxy]]
        caption_id = str(row.get("narration_id") or number)
        video_id = str(row.get("video_id") or caption_id)
        text = str(row["narration"])
        if proxy == Proxy.BOW:
            found.append(Caption(caption_id, video_id, text, words=parts[0]))
        else:
            found.append(Caption(caption_id, video_id, text, verbs=parts[0], nouns=parts[1]))
    return found

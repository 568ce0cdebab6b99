"""Captions, articles and features → a trained MILO network and its scores on multimodal event coreference.

    inputs ─▶ clips, sentences ─▶ training_items ─▶ train ─▶ checkpoint
                              └─▶ evaluation_items ─▶ systems (scoring, baselines) ─▶ measuring ─▶ evaluate ─▶ tables

Spec: Chen et al., "Joint Multimedia Event Extraction from Video and Article", Findings of EMNLP 2021, and the released
code of Video-M2E2; the section numbers in this folder (§) are those of specs/milo.md.
"""

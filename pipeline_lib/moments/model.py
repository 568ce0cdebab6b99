"""Videos and sentences → spans with scores, and the saliency of each row: MESM (Liu et al., AAAI 2024; specs: mesm §6).

Parameters have upstream's names, so its checkpoints load strictly (published.py). n: queries, V: videos, L: rows,
W: words, d: dimension. Where dropout draws, each query has draws of its own, as upstream's copies of a video have; where
it doesn't, a video is projected once.
"""

import math
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline_lib.config.moments_model import Model
from pipeline_lib.moments import position, published
from pipeline_lib.moments.attention import misassigned
from pipeline_lib.moments.batch import Batch, Targets
from pipeline_lib.moments.cross import CrossEncoder, CrossLayers
from pipeline_lib.moments.decoder import inverse_sigmoid
from pipeline_lib.moments.layers import MLP, projection
from pipeline_lib.moments.outputs import Outputs, Reconstruction
from pipeline_lib.moments.position import WordPositions
from pipeline_lib.moments.ragged import Ragged
from pipeline_lib.moments.scenes import Queries, pack, scenes
from pipeline_lib.moments.transformer import Memory, Transformer


class SentenceReconstruction(nn.Module):
    """A learned token reads a video in the place of its sentence (SS-MESM)."""

    def __init__(self, options: Model) -> None:
        super().__init__()
        d = options.dimension
        self.masked_sent_token = nn.Parameter(torch.zeros(d))
        self.recon_trans = CrossLayers(options, options.recss_layers)
        # In every checkpoint, though upstream's loss doesn't look at what it gives
        self.output_sent_proj = projection(d, d, options.input_dropout, 2, relu_at_end=False)

    def forward(self, rows: Tensor, mask: Tensor, hidden: Tensor | None) -> Tensor:
        """Rows (n, L, d) → sentences (n, d) of length 1."""
        token = self.masked_sent_token.expand(len(rows), 1, -1)
        return F.normalize(self.recon_trans(token, rows, mask, hidden=hidden)[:, 0], dim=-1)


class Rows(NamedTuple):
    """Videos, once per query, 0 beyond their end."""

    content: Tensor  # (n, L, d)
    mask: Tensor  # (n, L)
    position: Tensor  # (n, L, d)
    ragged: Ragged  # which of them there are


class Words(NamedTuple):
    """Sentences of queries."""

    content: Tensor  # (n, W, d)
    mask: Tensor  # (n, W)
    position: Tensor | None  # (n, W, d)

    def of(self, queries: Tensor) -> "Words":
        """Those of these queries (n,)."""
        return Words(*(None if x is None else x[queries] for x in self))  # type: ignore[arg-type]

    def without_first(self) -> "Words":
        """All words but the first."""
        return Words(*(None if x is None else x[:, 1:] for x in self))  # type: ignore[arg-type]


class Net(nn.Module):
    """MESM.

    Args:
        video_dim: length of a row, the two ends of temporal endpoint features included.
        word_dim: length of a word's vector.
        classes: of words, for their reconstruction.
    """

    def __init__(self, options: Model, video_dim: int, word_dim: int, classes: int) -> None:
        super().__init__()
        self.options = options
        d, drop, layers = options.dimension, options.input_dropout, options.input_layers
        self.input_vid_proj = projection(video_dim, d, drop, layers, relu_at_end=False)
        self.input_txt_proj = projection(word_dim, d, drop, layers, relu_at_end=False)
        self.txt_position_embed = WordPositions(options.max_words + options.recss, d, drop)
        self.enhance_encoder = CrossEncoder(options, options.recfw_layers, two=not options.share_mlp)
        self.t2v_encoder = CrossEncoder(options, options.aligner_layers)
        self.transformer = Transformer(options)
        self.query_embed = nn.Embedding(options.queries, 2)
        self.global_rep_token = nn.Parameter(torch.randn(d))
        self.global_rep_pos = nn.Parameter(torch.randn(d))
        self.class_embed = nn.Linear(d, 2)
        self.span_embed = MLP((d, d, d, 2))
        self.saliency_proj1, self.saliency_proj2 = nn.Linear(d, d), nn.Linear(d, d)
        if options.recfw:
            self.masked_token = nn.Parameter(torch.zeros(word_dim))
            self.unknown_token = nn.Parameter(torch.zeros(word_dim))
            hidden = projection(d, d, drop, 1, relu_at_end=True)
            self.output_txt_proj = nn.Sequential(*hidden, nn.Linear(d, classes))
        if options.recss:
            self.ss_reconstructor = SentenceReconstruction(options)

    def forward(self, batch: Batch) -> Outputs:
        """Spans and saliency of every query; with targets, also what the loss needs besides."""
        distinct = None if self._draws(self.options.input_dropout) else self._project(batch.video, batch.video_mask)
        place = position.of_rows(batch.video_mask, self.options.dimension)
        mask = batch.video_mask[batch.of_video]
        content = self._project(batch.video[batch.of_video], mask) if distinct is None else distinct[batch.of_video]
        rows = Rows(content, mask, place[batch.of_video], Ragged.of(mask))
        words = self._words(self.input_txt_proj(batch.words), batch.words_mask)
        expanded = self._expand(words, batch, distinct) if self.options.recss else words
        memory = self._encode(rows, words, expanded)
        states, anchors = self.transformer.decoder(self.query_embed.weight, memory.rows, rows.mask, rows.position)
        return Outputs(
            logits=self.class_embed(states).float(),
            spans=(self.span_embed(states) + inverse_sigmoid(anchors)).sigmoid(),
            saliency=self._saliency(memory),
            reconstruction=None if batch.targets is None else self._reconstruct(batch.targets, rows, words, expanded),
        )

    def _draws(self, dropout: float) -> bool:
        return self.training and dropout > 0

    def _project(self, rows: Tensor, mask: Tensor) -> Tensor:
        ragged = Ragged.of(mask)
        return ragged.pad(self.input_vid_proj(ragged.take(rows)))

    def _words(self, content: Tensor, mask: Tensor) -> Words:
        return Words(content, mask, self.txt_position_embed(content) if self.options.text_positions else None)

    def _hidden(self, query_mask: Tensor, key_mask: Tensor) -> Tensor | None:
        if self.options.head_masks == "mended":
            return None
        return misassigned(query_mask, key_mask, self.options.heads)

    def _expand(self, words: Words, batch: Batch, distinct: Tensor | None) -> Words:
        """Words with the reconstructed sentence in front."""
        queries = Queries.of(batch.groups)
        scene = scenes(batch, queries, self.options.context)
        hidden = None
        each = distinct is None or self._draws(self.options.dropout) or self.options.head_masks != "mended"
        rows, mask = (scene.rows[scene.of_query], scene.mask[scene.of_query]) if each else (scene.rows, scene.mask)
        if self.options.head_masks != "mended":  # upstream's sequences have all sentences of a group
            sentences = torch.arange(int(batch.groups.max()), device=mask.device) < batch.groups[queries.group, None]
            hidden = misassigned(sentences, mask, self.options.heads)
            hidden = hidden[torch.arange(len(mask), device=mask.device), :, queries.slot][:, :, None]
        if distinct is None:
            content = self._project(batch.video.flatten(0, 1)[rows], mask)
        else:
            content = distinct.flatten(0, 1)[rows]
        found = self.ss_reconstructor(content, mask, hidden)
        found = found if each else found[scene.of_query]
        content = torch.cat((found[:, None].to(words.content.dtype), words.content), 1)
        return self._words(content, F.pad(words.mask, (1, 0), value=True))

    def _encode(self, rows: Rows, words: Words, expanded: Words) -> Memory:
        """Rows enhanced by words (FW-MESM), aligned with the sentence, and read by the transformer's encoder."""
        ragged, content, place = rows.ragged, rows.ragged.take(rows.content), rows.ragged.take(rows.position)
        for encoder, text in (
            (self.enhance_encoder if self.options.recfw else None, words),
            (self.t2v_encoder, expanded),
        ):
            if encoder is not None:
                hidden = self._hidden(rows.mask, text.mask)
                content = encoder(content, text.content, text.mask, place, text.position, hidden, ragged=ragged)
        tokens = self.global_rep_token, self.global_rep_pos
        return self.transformer.encode(ragged.pad(content), rows.mask, rows.position, *tokens)

    def _saliency(self, memory: Memory) -> Tensor:
        like = self.saliency_proj1(memory.rows) * self.saliency_proj2(memory.whole)[:, None]
        return like.float().sum(-1) / math.sqrt(self.options.dimension)

    def _reconstruct(self, targets: Targets, rows: Rows, words: Words, expanded: Words) -> Reconstruction:
        other = expanded.of(targets.others.clamp(min=0))
        other_words = other.without_first() if self.options.recss else other
        memory = self._encode(rows, other_words, other)
        logits = self._word_logits(targets, rows, words) if self.options.recfw else None
        return Reconstruction(self._saliency(memory), rows.content, expanded.content, expanded.mask, logits)

    def _word_logits(self, targets: Targets, rows: Rows, words: Words) -> Tensor:
        """Words, some replaced by learned ones, read the rows of their moments: which words were they?"""
        unknown, masked = (self.input_txt_proj(x[None, None]) for x in (self.unknown_token, self.masked_token))
        content = torch.where(targets.unknown[..., None], unknown, words.content)
        content = torch.where(targets.masked[..., None], masked, content)
        moment = pack(targets.inside & rows.mask)
        found = self.enhance_encoder(
            content,
            moment.take(rows.content),
            moment.mask,
            words.position,
            moment.take(rows.position),
            self._hidden(words.mask, moment.mask),
            words_read=True,
        )
        logits: Tensor = self.output_txt_proj(found)
        return logits.float()


def initial(options: Model, video_dim: int, word_dim: int, classes: int, seed: int) -> Net:
    """The network before training: a function of the sizes, options, seed and the pretrained file, if one is named."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Net(options, video_dim, word_dim, classes)
    if options.pretrained is not None:
        published.load(net, Path(options.pretrained))
    return net

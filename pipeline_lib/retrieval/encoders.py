"""Frames, and words with their role graph → embeddings of three levels: sentence, verbs, nouns (specs: ranp §3).

Entries of the state dicts are those of upstream's MultilevelEncoder and RoleGraphEncoder (t2vretrieval.encoders).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pipeline_lib.config.retrieval import RetrievalModel
from pipeline_lib.retrieval.graph import GCNEncoder

ROLES = 16  # entries of the role embedding; their names: role_graphs.ROLES
LEVELS = 3


class Videos(NamedTuple):
    """Embedded videos.

    Attributes:
        sentence: (V, D).
        verbs, nouns: (V, frames, D).
        mask: (V, frames), true where a frame is one.
    """

    sentence: Tensor
    verbs: Tensor
    nouns: Tensor
    mask: Tensor


class Texts(NamedTuple):
    """Embedded captions.

    Attributes:
        sentence: (C, D).
        verbs, nouns: (C, nodes, D).
        verb_mask, noun_mask: (C, nodes), true where a node is one.
    """

    sentence: Tensor
    verbs: Tensor
    nouns: Tensor
    verb_mask: Tensor
    noun_mask: Tensor


class Words(NamedTuple):
    """Captions as the network reads them.

    Attributes:
        ids: (C, words) of the vocabulary.
        lengths: (C,) number of words.
        verbs, nouns: (C, nodes, words), true where a word belongs to the node.
        roles: (C, verb nodes + noun nodes), numbers of roles.
        edges: (C, N, N) of 0 and 1 as [target, source]; N = 1 + verb nodes + noun nodes.
    """

    ids: Tensor
    lengths: Tensor
    verbs: Tensor
    nouns: Tensor
    roles: Tensor
    edges: Tensor

    def to(self, where: torch.device) -> "Words":
        """The same on a device."""
        return Words(*(part.to(where, non_blocking=True) for part in self))


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths → (B, size), true before each length."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def attention_pool(states: Tensor, mask: Tensor, layer: nn.Module) -> Tensor:
    """(B, T, D) → (B, D): the mean weighted by a softmax of `layer` over what the mask leaves."""
    weights = layer(states).squeeze(2).float().masked_fill(~mask, -1e18).softmax(1)
    return (states * weights.to(states.dtype)[..., None]).sum(1)


class VideoEncoder(nn.Module):
    """Frame features → a linear map for each level; the first is pooled over the frames."""

    def __init__(self, features: int, dimension: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.level_embeds = nn.ModuleList(nn.Linear(features, dimension) for _ in range(LEVELS))
        self.ft_attn = nn.Linear(dimension, 1)

    def forward(self, frames: Tensor, lengths: Tensor) -> Videos:
        """Frames (V, F, features), of which the first `lengths` (V,) of each video count."""
        mask = length_mask(lengths, frames.shape[1])
        first, verbs, nouns = (self.dropout(level(frames)) for level in self.level_embeds)
        return Videos(attention_pool(first, mask, self.ft_attn), verbs, nouns, mask)


class WordEmbedding(nn.Module):
    """Ids → vectors; of random numbers until word vectors are put in."""

    def __init__(self, words: int, dimension: int) -> None:
        super().__init__()
        self.we = nn.Embedding(words, dimension)
        nn.init.uniform_(self.we.weight, -(dimension**-0.5), dimension**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        return self.we(ids)


class TextEncoder(nn.Module):
    """Words → GRU both ways → the sentence (pooled by attention) and its phrases (maximum) → graph network."""

    def __init__(self, words: int, options: RetrievalModel) -> None:
        super().__init__()
        size = options.dimension
        self.embedding = WordEmbedding(words, options.word_dimension)
        self.rnn = nn.GRU(options.word_dimension, size, batch_first=True, bidirectional=True)
        for name, value in self.rnn.named_parameters():
            nn.init.orthogonal_(value) if name.startswith("weight") else nn.init.zeros_(value)
        self.dropout = nn.Dropout(options.dropout_text)
        self.ft_attn = nn.Linear(size, 1)
        self.role_embedding = nn.Embedding(ROLES, size)
        self.gcn = GCNEncoder(size, options.graph_layers, options.graph_attention, options.dropout_graph)

    def states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Word ids (C, W) → (C, W, D), the mean of both directions; zeros behind the end."""
        words = self.dropout(self.embedding(ids))
        packed = pack_padded_sequence(words, lengths.cpu(), batch_first=True, enforce_sorted=False)
        found, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=ids.shape[1])
        return found.unflatten(2, (2, -1)).mean(2)

    def forward(self, words: Words) -> Texts:
        """Embed captions."""
        states = self.states(words.ids, words.lengths)
        sentence = attention_pool(states, length_mask(words.lengths, states.shape[1]), self.ft_attn)
        masks = torch.cat([words.verbs, words.nouns], 1)
        phrases = pool_phrases(states, masks) * self.role_embedding(words.roles).to(states.dtype)
        nodes = self.gcn(torch.cat([sentence[:, None], phrases], 1), words.edges)
        there = masks.any(2)
        count = words.verbs.shape[1]
        return Texts(nodes[:, 0], nodes[:, 1 : 1 + count], nodes[:, 1 + count :], there[:, :count], there[:, count:])


def pool_phrases(states: Tensor, masks: Tensor) -> Tensor:
    """Maximum over the words of each phrase: (C, W, D) and (C, P, W) → (C, P, D); zeros where a phrase has no words.

    Upstream leaves -1e10 there; no edge and no score reads it, but half precision makes it infinite. Only the words that
    belong to phrases are looked at, not all W of each.
    """
    there = masks.any(2)
    chosen = masks[there]  # (phrases, W)
    if not len(chosen):
        return states.new_zeros(*masks.shape[:2], states.shape[2])
    lengths = chosen.sum(1)
    longest = int(lengths.max())
    places = chosen.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :longest]
    words = states[there.nonzero()[:, :1], places]  # (phrases, longest, D)
    words = words.masked_fill(~length_mask(lengths, longest)[..., None], torch.finfo(states.dtype).min)
    found = states.new_zeros(*masks.shape[:2], states.shape[2])
    found[there] = words.amax(1)
    return found

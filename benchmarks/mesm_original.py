"""A checkout of lntzm/MESM → its network and loss on our batches, with what it would draw taken from the batch."""

import contextlib
import importlib
import importlib.util
import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch
from torch import Tensor, nn

from pipeline_lib.config.moments_model import Loss, Model
from pipeline_lib.moments import spans
from pipeline_lib.moments.batch import Batch
from pipeline_lib.moments.scenes import Queries

_PACKAGES = ("model", "utils", "dataset", "runner")


class Original:
    """Upstream's modules, built by its own functions from one of its configuration files.

    Args:
        classes: of words.
        draws: with its published dropout; otherwise none.
        text: sizes of its CLIP text network, drawn at random and in float32; None: words come as vectors.
    """

    def __init__(
        self, checkout: Path, config: str, classes: int, draws: bool = False, text: tuple[int, ...] | None = None
    ) -> None:
        self.args = Namespace(**json.loads((checkout / "config" / config).read_text()))
        self.args.device = "cpu"
        self.args.v_feat_dim += 2 * self.args.use_tef
        self.many = self.args.dataset_name == "qvhighlights"
        if not draws:
            self.args.dropout = self.args.input_dropout = 0.0
        with _importable(checkout):
            runner = importlib.import_module("runner")
            self.module = importlib.import_module("model.model")
        encoder = self._text_network(*text) if text else None
        self.args.vocab_size = classes - (3 if encoder else 1)  # without a text encoder, it takes one more
        with (
            mock.patch.object(runner, "build_CLIP_text_encoder", return_value=encoder),
            mock.patch.object(runner, "build_GloVe_text_encoder", return_value=None),
        ):
            self.net: nn.Module = runner.build_model(self.args)
        self.criterion: nn.Module = runner.build_criterion(self.args)

    def _text_network(self, *sizes: int) -> nn.Module:
        """CLIP's text network, of float32 and where it is: upstream's is float16 and goes to the GPU by itself."""
        network, mesm = self.module.CLIPTextEncoder, self.module.MESM
        network.dtype = torch.float32
        encode = mesm.CLIP_encode_text
        mesm.CLIP_encode_text = lambda net, ids, mask, device: encode(net, ids, mask, None)
        found: nn.Module = network(*sizes).eval()
        nn.init.normal_(found.ln_final.bias)  # type: ignore[union-attr, arg-type]  # else words sum to 0, as absent ones do
        return found

    def options(self, head_masks: Literal["mended", "as_published"] = "as_published") -> tuple[Model, Loss]:
        """The same configuration, ours."""
        a = self.args
        return Model(
            dimension=a.hidden_dim,
            heads=a.nheads,
            feedforward=a.dim_feedforward,
            dropout=a.dropout,
            input_dropout=a.input_dropout,
            input_layers=a.n_input_proj,
            recfw=a.rec_fw,
            recfw_layers=a.num_recfw_layers,
            share_mlp=a.share_MLP,
            recss=a.rec_ss,
            recss_layers=a.num_recss_layers,
            context="film" if self.many else "video",
            aligner_layers=a.t2v_layers,
            encoder_layers=a.enc_layers,
            decoder_layers=a.dec_layers,
            queries=a.num_queries,
            text_positions=a.use_txt_pos,
            max_words=a.max_words_l,
            head_masks=head_masks,
        ), Loss(
            span_coef=a.loss_span_coef,
            giou_coef=a.loss_giou_coef,
            label_coef=a.loss_label_coef,
            saliency_coef=a.loss_saliency_coef,
            recfw_coef=a.loss_recfw_coef,
            recss_coef=a.loss_recss_coef,
            cost_span=a.set_cost_span,
            cost_giou=a.set_cost_giou,
            cost_class=a.set_cost_class,
            auxiliary=a.aux_loss,
            eos_coef=a.eos_coef,
            rank_coef=a.rank_coef,
            triplet=a.use_triplet,
            margin=a.saliency_margin,
            gamma=a.iou_gamma,
            tau=a.recss_tau,
        )

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What its collate functions would give."""
        t = batch.targets
        assert t is not None
        found = {
            "video_feat": batch.video[batch.of_video],
            "video_mask": batch.video_mask[batch.of_video],
            "words_id": batch.words,
            "words_mask": None,
            "words_weight": torch.ones_like(batch.words_mask).float(),
            "num_clips": batch.groups,
            "unknown_mask": t.unknown,
            "clip_mask": t.inside,
            "pos_idx": t.positive,
            "neg_idx": t.negative,
            "words_label": t.labels,
        }
        if not self.many:
            moments = t.moments[:, 0]
            return {**found, "norm_moment": moments, "norm_span": spans.centred(moments)}
        each = [moments[mask] for moments, mask in zip(t.moments, t.moments_mask, strict=True)]
        return {
            **found,
            "norm_moment": [{"moments": one} for one in each],
            "norm_span": [{"spans": spans.centred(one)} for one in each],
            "saliency_label": t.saliency,
        }

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Its outputs, with the batch's masked words and other sentences."""
        inputs, t = self.inputs(batch), batch.targets
        assert t is not None
        chosen = iter([row.nonzero()[:, 0].numpy() for row in t.masked if row.any()])
        with (
            mock.patch.object(self.module, "sample_outclass_neg", lambda _: t.others),
            mock.patch.object(self.module.np.random, "choice", lambda *_, **__: next(chosen)),
        ):
            outputs: dict[str, Any] = self.net(**inputs, dataset_name=self.args.dataset_name, is_training=True)
        assert next(chosen, None) is None
        return outputs

    def losses(self, outputs: dict[str, Any], batch: Batch) -> dict[str, Tensor]:
        """Its terms, and their sum under `loss`."""
        terms, total = self.criterion(outputs, self.inputs(batch), is_training=True)
        return {**terms, "loss": total}


def others(batch: Batch, seed: int) -> Tensor:
    """A query of another group for each, drawn as upstream draws them: a Python loop over queries."""
    generator = torch.Generator().manual_seed(seed)
    group = Queries.of(batch.groups).group
    found = []
    for i in range(len(group)):
        candidates = torch.where(group != group[i])[0]
        found.append(candidates[torch.randperm(len(candidates), generator=generator)][0])
    return torch.stack(found)


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Modules of the checkout can be imported; NLTK, which only its tokenizers use, is stood in for."""
    stand_ins = {"nltk": mock.MagicMock()} if importlib.util.find_spec("nltk") is None else {}
    with mock.patch.dict(sys.modules, stand_ins), mock.patch.object(sys, "path", [str(folder), *sys.path]):
        yield
        for name in list(sys.modules):
            if name.partition(".")[0] in _PACKAGES:
                del sys.modules[name]

import math
from itertools import pairwise

import pytest
import torch
from tiny import CLASSES, NO_DROPOUT, OPTIONS, VIDEO, WORD, batch, mask
from torch import nn

from pipeline_lib.config.moments_model import Loss
from pipeline_lib.core import device
from pipeline_lib.moments import losses, model
from pipeline_lib.moments.attention import Attention, attend, misassigned
from pipeline_lib.moments.decoder import inverse_sigmoid
from pipeline_lib.moments.layers import Dropout
from pipeline_lib.moments.ragged import Ragged
from pipeline_lib.moments.scenes import Queries, pack, scenes


@pytest.fixture(autouse=True)
def one_thread():
    device.deterministic()


def net(**options):
    return model.initial(OPTIONS.model_copy(update=options), VIDEO, WORD, CLASSES, 0)


def linear(name, outgoing, incoming):
    return {f"{name}.weight": (outgoing, incoming), f"{name}.bias": (outgoing,)}


def norm(name, size=16):
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def attention(name):
    return {f"{name}.in_proj_weight": (48, 16), f"{name}.in_proj_bias": (48,)} | linear(f"{name}.out_proj", 16, 16)


def feed(name):
    return linear(f"{name}.linear1", 24, 16) | linear(f"{name}.linear2", 16, 24) | {f"{name}.activation.weight": (1,)}


def layers(name, count):
    found = {}
    for layer in (f"{name}.layers.{i}" for i in range(count)):
        found |= attention(f"{layer}.self_attn") | feed(layer) | norm(f"{layer}.norm1") | norm(f"{layer}.norm2")
    return found


def mlp(name, *sizes):
    found = {}
    for i, (one, other) in enumerate(pairwise(sizes)):
        found |= linear(f"{name}.layers.{i}", other, one)
    return found


def projection(name, incoming):
    found = {}
    for i, size in enumerate((incoming, 16)):
        found |= norm(f"{name}.{i}.LayerNorm", size) | linear(f"{name}.{i}.net.1", 16, size)
    return found


def test_entries_are_upstreams():
    """Names and shapes as lntzm/MESM's build_model gives them for these sizes."""
    decoder = {}
    for i in range(2):
        layer = f"transformer.decoder.layers.{i}"
        names = ["sa_qcontent", "sa_qpos", "sa_kcontent", "sa_kpos", "sa_v"]
        names += ["ca_qcontent", "ca_kcontent", "ca_kpos", "ca_v", "ca_qpos_sine"] + (["ca_qpos"] if i == 0 else [])
        for name in names:
            decoder |= linear(f"{layer}.{name}_proj", 16, 16)
        decoder |= linear(f"{layer}.self_attn.out_proj", 16, 16) | linear(f"{layer}.cross_attn.out_proj", 16, 16)
        decoder |= feed(layer) | norm(f"{layer}.norm1") | norm(f"{layer}.norm2") | norm(f"{layer}.norm3")
    expected = {
        "global_rep_token": (16,),
        "global_rep_pos": (16,),
        "masked_token": (WORD,),
        "unknown_token": (WORD,),
        "query_embed.weight": (3, 2),
        "txt_position_embed.position_embeddings.weight": (5, 16),
        "ss_reconstructor.masked_sent_token": (16,),
        **norm("txt_position_embed.LayerNorm"),
        **projection("input_vid_proj", VIDEO),
        **projection("input_txt_proj", WORD),
        **projection("ss_reconstructor.output_sent_proj", 16),
        **norm("output_txt_proj.0.LayerNorm"),
        **linear("output_txt_proj.0.net.1", 16, 16),
        **linear("output_txt_proj.1", CLASSES, 16),
        **layers("enhance_encoder.t2v_encoder", 2),
        **layers("t2v_encoder.t2v_encoder", 2),
        **layers("ss_reconstructor.recon_trans", 4),
        **layers("transformer.encoder", 2),
        **decoder,
        **norm("transformer.decoder.norm"),
        **mlp("transformer.decoder.query_scale", 16, 16, 16),
        **mlp("transformer.decoder.ref_point_head", 16, 16, 16),
        **mlp("transformer.decoder.bbox_embed", 16, 16, 16, 2),
        **mlp("transformer.decoder.ref_anchor_head", 16, 16, 1),
        **mlp("span_embed", 16, 16, 16, 2),
        **linear("class_embed", 2, 16),
        **linear("saliency_proj1", 16, 16),
        **linear("saliency_proj2", 16, 16),
    }
    assert {name: tuple(value.shape) for name, value in net().state_dict().items()} == expected


def test_entries_of_two_feed_forwards():
    more = set(net(share_mlp=False).state_dict()) - set(net().state_dict())
    names = {
        f"{name}.{kind}" for name in ("linear1_1", "linear2_1", "norm1_1", "norm2_1") for kind in ("weight", "bias")
    }
    assert more == {f"enhance_encoder.t2v_encoder.layers.{i}.{name}" for i in range(2) for name in names}


def test_attention_is_torchs():
    ours, theirs = Attention(16, 4, 0.0), nn.MultiheadAttention(16, 4, batch_first=True)
    ours.load_state_dict(theirs.state_dict())
    query, key, value = torch.randn(2, 3, 16), torch.randn(2, 5, 16), torch.randn(2, 5, 16)
    there = mask((5, 2), 5)
    expected = theirs(query, key, value, key_padding_mask=~there)[0]
    torch.testing.assert_close(ours(query, key, value, there[:, None, None]), expected, atol=1e-6, rtol=0)


def test_who_sees_nothing_gets_zero():
    x = torch.randn(2, 3, 4)
    seen = torch.tensor([[True, True, False], [False] * 3])[:, None, None]
    found = attend(x, x, x, 2, seen)
    assert found[1].eq(0).all()
    torch.testing.assert_close(found[0], attend(x[:1, :], x[:1, :2], x[:1, :2], 2)[0])


def test_outputs_of_a_batch():
    example = batch()
    found = net().eval()(example._replace(targets=None))
    assert found.logits.shape == (2, 3, 3, 2)
    assert found.spans.shape == (2, 3, 3, 2)
    assert found.saliency.shape == (3, 5)
    assert found.reconstruction is None
    windows = found.windows()
    assert windows.shape == (3, 3, 3)
    assert (windows[..., 1] >= windows[..., 0]).all()
    torch.testing.assert_close(windows[..., 2], found.logits[-1].softmax(-1)[..., 0])


def test_targets_change_no_prediction():
    network, example = net().eval(), batch()
    one, other = network(example), network(example._replace(targets=None))
    assert torch.equal(one.logits, other.logits)
    assert torch.equal(one.spans, other.spans)
    assert one.reconstruction.logits.shape == (3, 4, CLASSES)


def outputs_of_first(head_masks, rows=(3, 3), words=(2, 2, 2), width=None):
    """What the network says of the first query, whose video has 5 rows and whose sentence has 4 words."""
    example = batch(rows=(5, *rows[1:]), words=(4, *words[1:]), width=width)._replace(targets=None)
    found = net(head_masks=head_masks).eval()(example)
    return torch.cat([x.flatten() for x in (found.logits[-1, 0], found.spans[-1, 0], found.saliency[0, :5])])


@pytest.mark.parametrize("change", [{"rows": (5, 8)}, {"words": (4, 4, 1)}, {"words": (4, 7, 9)}, {"width": 9}])
def test_a_query_doesnt_depend_on_the_padding_of_others(change):
    """Whether its own padding or that of others in the batch: upstream's masks make it so, ours don't."""
    plain, changed = outputs_of_first("mended"), outputs_of_first("mended", **change)
    torch.testing.assert_close(changed, plain, atol=2e-6, rtol=0)


def test_upstreams_masks_hide_words_by_the_padding_of_others():
    """The same batch, but another sentence is shorter: the first query, which is full length, is read differently."""
    rows = (5, 3)
    plain = outputs_of_first("as_published", rows=rows, words=(4, 4, 4))
    changed = outputs_of_first("as_published", rows=rows, words=(4, 4, 1))
    assert (plain - changed).abs().max() > 1e-3
    mended = [outputs_of_first("mended", rows=rows, words=words) for words in ((4, 4, 4), (4, 4, 1))]
    torch.testing.assert_close(*mended, atol=2e-6, rtol=0)


def test_whose_mask_each_head_has():
    """Two items, three heads: entries 0 … 5 are those of items 0 1 0 1 0 1; item 1 has one query and one key less."""
    hidden = misassigned(torch.tensor([[True, True], [True, False]]), torch.tensor([[True, True], [True, False]]), 3)
    other = torch.tensor([[False, False], [False, True]])
    assert hidden.shape == (2, 3, 2, 2)
    assert [[torch.equal(head, other) for head in item] for item in hidden] == [
        [False, True, False],
        [True, False, True],
    ]
    assert hidden.sum() == 3


def test_projecting_a_video_once_changes_nothing():
    """Without dropout a video is projected once; copies per query give the same outputs and gradients."""
    example = batch()
    copies = example._replace(
        video=example.video[example.of_video],
        video_mask=example.video_mask[example.of_video],
        of_video=torch.arange(3),
    )
    found = []
    for one in (example, copies):
        network = model.initial(NO_DROPOUT, VIDEO, WORD, CLASSES, 0).train()
        loss = losses.terms(network(one), one, Loss())["loss"]
        loss.backward()
        found.append((loss, network.input_vid_proj[0].net[1].weight.grad, network.query_embed.weight.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_queries_of_a_video_have_dropout_of_their_own():
    example = batch()
    network = net(dropout=0.0, input_dropout=0.5).train()
    torch.manual_seed(0)
    rows = network(example).reconstruction.rows
    assert not torch.allclose(rows[0], rows[1])
    still = net(dropout=0.1, input_dropout=0.0).train()(example).reconstruction
    assert torch.equal(still.rows[0], still.rows[1])
    assert not torch.allclose(still.words[0, 0], still.words[1, 0])


def test_reconstructed_sentence_is_of_the_video():
    """Each slot reads the video for itself: sentences of a video have one reconstruction, those of others another."""
    words = net().eval()(batch()).reconstruction.words
    assert torch.equal(words[0, 0], words[1, 0])
    assert not torch.allclose(words[0, 0], words[2, 0], atol=1e-3)
    assert words[0, 0].norm().item() == pytest.approx(1, abs=1e-5)


def test_scenes_of_videos_and_films():
    example = batch()._replace(of_video=torch.tensor([0, 1, 1]))
    queries = Queries.of(example.groups)
    assert queries.slot.tolist() == [0, 1, 0]
    own = scenes(example, queries, "video")
    assert own.rows.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert own.of_query.tolist() == [0, 1, 1]
    film = scenes(example, queries, "film")
    assert film.rows[0][film.mask[0]].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert film.rows[1][film.mask[1]].tolist() == [5, 6, 7]
    assert film.of_query.tolist() == [0, 0, 1]


def test_pack():
    found = pack(torch.tensor([[False, True, False, True], [False, False, False, False]]))
    assert found.mask.tolist() == [[True, True], [False, False]]
    assert found.take(torch.arange(8).view(2, 4))[0].tolist() == [1, 3]


def test_dropout_keeps_the_mean():
    dropout, x = Dropout(0.25), torch.ones(400, 500, requires_grad=True)
    torch.manual_seed(0)
    found = dropout(x)
    assert found.detach().unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert found.detach().eq(0).float().mean().item() == pytest.approx(0.25, abs=0.005)
    found.sum().backward()
    assert torch.equal(x.grad, found.detach())
    assert dropout.eval()(x) is x


def test_ragged_rows():
    ragged = Ragged.of(torch.tensor([[True, True, False], [True, False, True]]))
    x = torch.arange(12.0).view(2, 3, 2)
    assert ragged.take(x)[:, 0].tolist() == [0, 2, 6, 10]
    padded = ragged.pad(ragged.take(x))
    assert padded[..., 0].tolist() == [[0, 2, 0], [6, 0, 10]]
    assert torch.equal(ragged.take(padded), ragged.take(x))


def test_inverse_sigmoid_stays_finite():
    found = inverse_sigmoid(torch.tensor([0.0, 0.5, 1.0]))
    assert found.tolist() == pytest.approx([math.log(1e-3), 0, math.log(1e3)], rel=1e-4)


@pytest.mark.parametrize(
    "options", [{"text_positions": True}, {"share_mlp": False}, {"context": "film"}, {"input_layers": 3}]
)
def test_options_train(options):
    network, example = net(**options).train(), batch(moments=2)
    torch.manual_seed(0)
    losses.terms(network(example), example, Loss(triplet=True))["loss"].backward()
    without = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is None}
    assert without == {"ss_reconstructor"} | (set() if "text_positions" in options else {"txt_position_embed"})


def test_bfloat16():
    network, example = net().train(), batch()
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network(example)
    found = losses.terms(outputs, example, Loss())
    found["loss"].backward()
    assert outputs.logits.dtype == outputs.spans.dtype == outputs.saliency.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def test_bfloat16_is_near_float32():
    network, example = net().eval(), batch()
    exact = network(example)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(example)
    assert (exact.spans[-1] - rough.spans[-1]).abs().max() < 0.03


def test_a_step_gives_the_same_bytes():
    def step():
        network, example = net().train(), batch(moments=2)
        torch.manual_seed(1)
        losses.terms(network(example), example, Loss(triplet=True))["loss"].backward()
        return [p.grad for p in network.parameters() if p.grad is not None]

    assert all(torch.equal(one, other) for one, other in zip(step(), step(), strict=True))


def test_initial_weights_are_a_function_of_the_seed():
    one, same = net().state_dict(), net().state_dict()
    other = model.initial(OPTIONS, VIDEO, WORD, CLASSES, 1).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["class_embed.weight"], other["class_embed.weight"])


def test_learns_a_batch():
    network, example = model.initial(NO_DROPOUT, VIDEO, WORD, CLASSES, 0).train(), batch()
    optimiser = torch.optim.AdamW(network.parameters(), 5e-3)
    found = []
    for _ in range(30):
        optimiser.zero_grad()
        found.append(losses.terms(network(example), example, Loss()))
        found[-1]["loss"].backward()
        optimiser.step()
    assert found[-1]["loss"] < 0.6 * found[0]["loss"]
    assert found[-1]["loss_span"] < 0.6 * found[0]["loss_span"]

import pytest
import torch
from torch.nn import functional as F

from pipeline_lib.config.retrieval import RetrievalModel
from pipeline_lib.core import device
from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import encoders, model, scores
from pipeline_lib.retrieval.encoders import Words

OPTIONS = RetrievalModel(dimension=8, word_dimension=5)
FEATURES, VOCABULARY = 6, 20


@pytest.fixture(autouse=True)
def one_thread():
    device.deterministic()


@pytest.fixture
def net():
    return model.initial(FEATURES, VOCABULARY, OPTIONS, 0).eval()


def words(lengths, width, verbs=((1,), ()), nouns=((0, 2), ())):
    """Captions with one verb and one noun, of the words given."""
    count = len(lengths)
    masks = [torch.zeros(count, nodes, width, dtype=torch.bool) for nodes in (4, 6)]
    edges = torch.zeros(count, 11, 11)
    for mask, spans in zip(masks, (verbs, nouns), strict=True):
        for caption, span in enumerate(spans[:count]):
            mask[caption, 0, list(span)] = True
    edges[:, 1, 0] = edges[:, 5, 1] = edges[:, 1, 5] = 1
    ids = torch.arange(count * width).view(count, width) % VOCABULARY
    return Words(ids, torch.tensor(lengths), *masks, torch.ones(count, 10, dtype=torch.long), edges)


def test_entries_are_upstreams(net):
    """Names and shapes as read from a checkpoint that t2vretrieval wrote, for dim_embed 8, dim_word 5, 20 words, dim_fts 6."""
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    gru = {
        f"text_encoder.rnn.{kind}_{gate}_l0{way}": (24, columns) if kind == "weight" else (24,)
        for kind in ("weight", "bias")
        for gate, columns in (("ih", 5), ("hh", 8))
        for way in ("", "_reverse")
    }
    layer = "text_encoder.gcn.layers.0."
    assert shapes == {
        **{f"video_encoder.level_embeds.{i}.weight": (8, 6) for i in range(3)},
        **{f"video_encoder.level_embeds.{i}.bias": (8,) for i in range(3)},
        "video_encoder.ft_attn.weight": (1, 8),
        "video_encoder.ft_attn.bias": (1,),
        "text_encoder.embedding.we.weight": (20, 5),
        **gru,
        "text_encoder.ft_attn.weight": (1, 8),
        "text_encoder.ft_attn.bias": (1,),
        "text_encoder.role_embedding.weight": (16, 8),
        layer + "ctx_layer.weight": (8, 8),
        layer + "layernorm.weight": (8,),
        layer + "layernorm.bias": (8,),
        **{f"{layer}edge_attn_{name}.weight": (4, 8) for name in ("query", "key")},
        **{f"{layer}edge_attn_{name}.bias": (4,) for name in ("query", "key")},
    }


def test_padding_changes_nothing(net):
    """Frames and words behind the end, longer batches, and nodes without words have no influence."""
    torch.manual_seed(0)
    frames, lengths = torch.randn(2, 4, FEATURES), torch.tensor([4, 2])
    text = words([3, 2], 5)
    whole = net(frames, lengths, text)
    frames[1, 2:] = 100
    changed = text._replace(ids=text.ids.clone())
    changed.ids[0, 3:], changed.ids[1, 2:] = 7, 7
    for a, b in zip(whole, net(frames, lengths, changed), strict=True):
        torch.testing.assert_close(a, b)
    alone = net(frames[1:, :2], lengths[1:], Words(*(part[:1] for part in text)))
    for a, b in zip(whole, alone, strict=True):
        torch.testing.assert_close(a[1:, :1], b)
    assert whole.verbs[:, 1].tolist() == [0, 0] and whole.nouns[:, 1].tolist() == [0, 0]  # caption 1 has no phrases


@pytest.mark.parametrize("fusion", ["embed", "sim"])
def test_phrase_scores_as_defined(fusion):
    """Against the definition, frame by frame and phrase by phrase."""
    torch.manual_seed(1)
    frames, nodes = torch.randn(3, 4, 7), torch.randn(2, 5, 7)
    frame_mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0]], dtype=torch.bool)
    node_mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]], dtype=torch.bool)
    expected = torch.zeros(3, 2)
    for v in range(3):
        seen = frames[v][frame_mask[v]]
        for c in range(2):
            values = []
            for phrase in nodes[c][node_mask[c]]:
                cosine = F.cosine_similarity(seen, phrase[None], dim=1)
                attention = (4 * F.normalize(cosine.clamp(min=0), dim=0)).softmax(0)
                pooled = (attention[:, None] * seen).sum(0)
                values.append(F.cosine_similarity(pooled, phrase, dim=0) if fusion == "embed" else attention @ cosine)
            expected[v, c] = torch.stack(values).mean()
    torch.testing.assert_close(scores.phrases(frames, frame_mask, nodes, node_mask, 4.0, fusion), expected)


def test_pooling_of_phrases():
    states = torch.tensor([[[1.0, -5.0], [3.0, -7.0], [2.0, 9.0]]])
    masks = torch.tensor([[[1, 1, 0], [0, 0, 0], [0, 0, 1]]], dtype=torch.bool)
    assert encoders.pool_phrases(states, masks).tolist() == [[[3.0, -5.0], [0.0, 0.0], [2.0, 9.0]]]
    assert encoders.pool_phrases(states, masks & False).tolist() == [[[0.0, 0.0]] * 3]


def test_captions_are_embedded_as_defined(net):
    """Against the definition, word by word and node by node: mean of GRUs, pools, roles, attention over neighbours."""
    text, encoder = words([3], 4, verbs=((1,),), nouns=((0, 2),)), net.text_encoder
    layer = encoder.gcn.layers[0]
    with torch.no_grad():
        both = encoder.rnn(encoder.embedding(text.ids[:, :3]))[0][0]  # (3, 16)
        states = (both[:, :8] + both[:, 8:]) / 2
        weights = encoder.ft_attn(states)[:, 0].softmax(0)
        role = encoder.role_embedding.weight[1]
        sentence, verb, noun = weights @ states, states[1] * role, torch.maximum(states[0], states[2]) * role
        query, key = layer.edge_attn_query, layer.edge_attn_key
        scale = 4**0.5  # of (dimension 8) / 2
        shares = torch.stack([query(verb) @ key(one) / scale for one in (sentence, noun)]).softmax(0)
        expected = {
            "sentence": sentence,  # nothing tells it anything
            "verbs": verb + layer.ctx_layer(shares[0] * sentence + shares[1] * noun),
            "nouns": noun + layer.ctx_layer(verb),
        }
        found = net.texts(text)
    for name, value in expected.items():
        one = getattr(found, name)[0] if name == "sentence" else getattr(found, name)[0, 0]
        torch.testing.assert_close(one, layer.layernorm(value), msg=name)
    assert found.verb_mask.sum() == found.noun_mask.sum() == 1


def test_neighbours_count_alike_without_attention():
    net = model.initial(FEATURES, VOCABULARY, OPTIONS.model_copy(update={"graph_attention": False}), 0).eval()
    nodes, edges = torch.randn(1, 3, 8), torch.tensor([[[0, 0, 0], [1.0, 0, 1], [0, 1, 0]]])
    layer = net.text_encoder.gcn.layers[0]
    context = torch.stack([torch.zeros(8), (nodes[0, 0] + nodes[0, 2]) / 2, nodes[0, 1]])
    expected = layer.layernorm(nodes[0] + layer.ctx_layer(context))
    torch.testing.assert_close(net.text_encoder.gcn(nodes, edges)[0], expected)


def test_bf16_stays_close(net):
    torch.manual_seed(0)
    frames, lengths, text = torch.randn(2, 4, FEATURES), torch.tensor([4, 2]), words([3, 2], 5)
    exact = net(frames, lengths, text).fused
    with torch.autocast("cpu", torch.bfloat16):
        close = net(frames, lengths, text).fused
    assert close.dtype == torch.float32 and (exact - close).abs().max() < 0.05


def test_upstreams_checkpoint_loads_strictly(net, tmp_path):
    parts = {name: getattr(net, name).state_dict() for name in model.ENCODERS}
    torch.save(parts, tmp_path / "epoch.3.th")
    other = model.initial(
        FEATURES, VOCABULARY, OPTIONS.model_copy(update={"pretrained": str(tmp_path / "epoch.3.th")}), 1
    )
    for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)

    del parts["text_encoder"]["ft_attn.bias"]
    torch.save(parts, tmp_path / "less.th")
    with pytest.raises(UserError, match=r"it lacks text_encoder.ft_attn.bias; compare"):
        model.load(other, tmp_path / "less.th")
    parts["video_encoder"]["surplus"] = torch.zeros(1)
    torch.save(parts, tmp_path / "other.th")
    with pytest.raises(UserError, match=r"lacks text_encoder.ft_attn.bias and holds video_encoder.surplus"):
        model.load(other, tmp_path / "other.th")
    with pytest.raises(UserError, match=r"size mismatch for video_encoder"):
        model.load(model.initial(7, VOCABULARY, OPTIONS, 0), tmp_path / "epoch.3.th")
    torch.save({"weights": torch.zeros(1)}, tmp_path / "none.th")
    with pytest.raises(UserError, match="no video_encoder or text_encoder"):
        model.load(net, tmp_path / "none.th")
    (tmp_path / "page.th").write_text("<html>")
    with pytest.raises(UserError, match="no PyTorch checkpoint") as caught:
        model.load(net, tmp_path / "page.th")
    assert "weights_only" not in str(caught.value)  # torch advises to execute what is in the file


def test_word_vectors_alone_are_a_start(net, tmp_path):
    """Upstream's GloVe checkpoints hold the embedding and nothing else."""
    vectors = torch.randn(VOCABULARY, 5)
    torch.save({"text_encoder": {"embedding.we.weight": vectors}}, tmp_path / "glove.th")
    before = net.video_encoder.ft_attn.weight.clone()
    model.load(net, tmp_path / "glove.th")
    assert torch.equal(net.text_encoder.embedding.we.weight, vectors)
    assert torch.equal(net.video_encoder.ft_attn.weight, before)

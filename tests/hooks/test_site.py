import pytest

from conceptscope.hooks import HEAD_KINDS, KINDS, Site


@pytest.mark.parametrize(
    ("name", "kind", "layer", "head"),
    [
        ("resid_post.6", "resid_post", 6, None),
        ("resid_post.-1", "resid_post", -1, None),
        ("z.6.3", "z", 6, 3),
        ("embed", "embed", None, None),
        ("hook_embed", "embed", None, None),
        ("blocks.6.hook_resid_post", "resid_post", 6, None),
        ("blocks.6.hook_out", "resid_post", 6, None),
        ("blocks.6.hook_in", "resid_pre", 6, None),
        ("blocks.0.hook_mlp_out", "mlp_out", 0, None),
        ("blocks.11.mlp.hook_post", "mlp_post", 11, None),
        ("blocks.2.attn.hook_z", "z", 2, None),
        ("blocks.2.attn.hook_q", "q", 2, None),
        ("transformer.h.3.mlp", "transformer.h.3.mlp", None, None),
        ("blocks.3.attn", "blocks.3.attn", None, None),
        ("lm_head", "lm_head", None, None),
        ("embeddings.word_embeddings", "embeddings.word_embeddings", None, None),
    ],
)
def test_reads_names(name: str, kind: str, layer: int | None, head: int | None) -> None:
    site = Site.parse(name)
    assert (site.kind, site.layer, site.head) == (kind, layer, head)
    assert site == Site(name) == Site(kind, layer, head)
    assert site.is_module == (kind not in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_name_and_back(kind: str) -> None:
    sites = [Site("embed")] if kind == "embed" else [Site(kind, 0), Site(kind, 12), Site(kind, -2)]
    sites += [Site(kind, 3, 1)] if kind in HEAD_KINDS else []
    for site in sites:
        assert Site.parse(str(site)) == site
        assert eval(repr(site)) == site
        assert Site.parse(site) is site


def test_sorts_like_a_forward_pass() -> None:
    names = ["embed", "z.2", "z.2.0", "z.2.10", "resid_post.2", "resid_pre.10", "attn_out.10", "h.9.mlp"]
    names.append("h.10.mlp")
    sites = [Site(name) for name in names]
    assert sorted(reversed(sites)) == sites
    assert len({*sites, Site("z", 2)}) == len(sites)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resid_pst.3", r"unknown site 'resid_pst.3': did you mean 'resid_post.3'\?"),
        ("Resid_Post.3", r"did you mean 'resid_post.3'\?"),
        ("embd", r"did you mean 'embed'\?"),
        ("resid_post_12", r"did you mean 'resid_post.12'\?"),
        ("resid_post 3", r"did you mean 'resid_post.3'\?"),
        ("residpost3", r"did you mean 'resid_post.3'\?"),
        ("resid_post", "needs a layer: write 'resid_post.0'"),
        ("resid_post.x", "after the kind come numbers"),
        ("resid_post.3.1", "has no heads: only q, k, v, z have"),
        ("embed.3", "has no layer"),
        ("blocks.3.hook_resid_pst", r"did you mean 'blocks.3.hook_resid_post'\?"),
        ("blocks.3.ln1.hook_normalized", "in a block there are hook_in"),
        ("a b", "is not a site"),
        ("", "is not a site"),
    ],
)
def test_refuses_other_names(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Site.parse(name)


def test_refuses_unknown_kinds_with_a_layer() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'mlp_out.1'"):
        Site("mlp_outt", 1)
    with pytest.raises(ValueError, match="the kinds are embed, resid_pre"):
        Site("transformer.h", 1)
    with pytest.raises(ValueError, match="needs a layer"):
        Site("z", head=1)


def test_refuses_what_is_no_name() -> None:
    with pytest.raises(TypeError, match="expected a site like"):
        Site.parse(3)  # type: ignore[arg-type]

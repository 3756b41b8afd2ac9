import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

import conceptscope as cs
from conceptscope.analyses._signal import root_js


def test_root_js_beside_scipy() -> None:
    p, q = (torch.rand(2, 50, 30, generator=torch.Generator().manual_seed(0)) ** 4).unbind()
    p[:, :3] = 0
    q[:, 2:5] = 0
    p, q = (one / one.sum(-1, keepdim=True) for one in (p, q))
    wanted = jensenshannon(p.numpy(), q.numpy(), axis=1)
    np.testing.assert_allclose(root_js(p, q).numpy(), wanted, atol=1e-6)


def test_root_js_is_a_metric_from_0_to_the_root_of_ln_2() -> None:
    p, q, r = torch.rand(3, 200, 5, generator=torch.Generator().manual_seed(1)).softmax(-1).unbind()
    assert torch.equal(root_js(p, p), torch.zeros(200).double())
    torch.testing.assert_close(root_js(p, q), root_js(q, p))
    assert (root_js(p, r) <= root_js(p, q) + root_js(q, r) + 1e-9).all()
    apart = root_js(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    assert float(apart) == pytest.approx(math.sqrt(math.log(2)))


def test_of_a_model_it_is_the_mean_over_pairs() -> None:
    model, data = cs.load_model("tinyworld"), cs.load_examples("tinyworld/tense")[:20]
    found = cs.concept_signal(model, data)
    p = cs.next_token_logits(model, data.texts).double().softmax(-1).numpy()
    wanted = [jensenshannon(p[row], p[row + 1]) for row in range(0, 20, 2)]
    np.testing.assert_allclose(found.each, wanted, atol=1e-6)
    assert float(found) == found.value == pytest.approx(np.mean(wanted))
    assert found.low < found.value < found.high
    pairs = list(zip(data.texts[::2], data.texts[1::2], strict=True))
    np.testing.assert_allclose(cs.concept_signal(model, pairs).each, wanted, atol=1e-6)
    assert repr(found).endswith("sqrt(JS) in nats)")


def test_pairs_may_stand_in_any_order() -> None:
    model, data = cs.load_model("tinyworld"), cs.load_examples("tinyworld/tense")[:20]
    order = np.random.default_rng(0).permutation(20)
    assert cs.concept_signal(model, data[order]).value == pytest.approx(cs.concept_signal(model, data).value)


def test_of_a_world_it_is_the_norm_of_the_derivative() -> None:
    a = torch.tensor([[3.0, 0.0], [4.0, 0.0], [0.0, 2.0]])
    at = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    found = cs.concept_signal(lambda z: z @ a.T, 0, at=at)
    np.testing.assert_allclose(found.each, 5.0, rtol=1e-6)
    assert cs.concept_signal(lambda z: z @ a.T, 1, at=at).value == pytest.approx(2.0)
    curved = cs.concept_signal(lambda z: torch.stack([z[:, 0].sin(), z.prod(1)], 1)[:, :, None], 0, at=at)
    wanted = (at[:, 0].cos() ** 2 + at[:, 1] ** 2).sqrt()
    np.testing.assert_allclose(curved.each, wanted, rtol=1e-5)


def test_refusals(tiny: Callable[..., cs.HookedModel]) -> None:
    model, at = tiny("llama"), torch.ones(4, 2)
    with pytest.raises(ValueError, match="the examples have no pairs"):
        cs.concept_signal(model, cs.Examples(["a", "b"]))
    with pytest.raises(ValueError, match="pair 1 has 1 texts, and two are compared"):
        cs.concept_signal(model, cs.Examples(["a", "b", "c"], pairs=[0, 0, 1]))
    with pytest.raises(TypeError, match="of Examples with pairs, or of a list"):
        cs.concept_signal(model, "a")
    with pytest.raises(ValueError, match="at= is of a world"):
        cs.concept_signal(model, [("a", "b")], at=at)
    with pytest.raises(TypeError, match="got function and str"):
        cs.concept_signal(lambda z: z, "size", at=at)
    with pytest.raises(ValueError, match="at= takes the points"):
        cs.concept_signal(lambda z: z, 0)
    with pytest.raises(ValueError, match="so that there is no 2"):
        cs.concept_signal(lambda z: z, 2, at=at)
    with pytest.raises(ValueError, match="the world makes 1 rows of 4 points"):
        cs.concept_signal(lambda z: z.sum(0, keepdim=True), 0, at=at)
    with pytest.raises(ValueError, match="not differentiable"):
        cs.concept_signal(lambda z: z.numpy(), 0, at=at)

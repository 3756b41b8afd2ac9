"""Models over several devices, which a machine without an accelerator can only pretend to have.

A tensor on a pretended device is a wrapper around one in main memory. Operators run on what is inside, and
refuse tensors of several devices, as those of real devices do.
"""

import pytest
import torch
from accelerate import dispatch_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from conceptscope.hooks import (
    Examples,
    add_vector,
    bake,
    capture,
    generate,
    intervene,
    load_model,
    mean_ablate,
    next_token_logits,
    patch,
    resample_ablate,
    schedule,
    zero_ablate,
)
from conceptscope.probes import MeanDifference, monitor, sweep, when

aten = torch.ops.aten
CPU = torch.device("cpu")
COPIES = {aten.copy_.default}
"""Operators that take tensors of several devices."""

INDEXES = {aten.index.Tensor: 1, aten.index_put_.default: 1, aten.index_put.default: 1}
"""Operators with an argument that may be in main memory."""


class Placed(torch.Tensor):
    """A tensor on a pretended device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner, device):
        with torch.inference_mode(False):  # all are of one sort, as a view needs
            made = torch.Tensor._make_wrapper_subclass(
                cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=device
            )
        made.inner = inner
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    # PyTorch's own go to the device before they come to the operator.
    contiguous, nonzero, __invert__ = (
        lambda self, op=op: op(self) for op in (aten.contiguous, aten.nonzero, aten.bitwise_not)
    )
    __int__, __float__, __bool__, tolist, data_ptr = (
        lambda self, name=name: getattr(self.inner, name)()
        for name in ("__int__", "__float__", "__bool__", "tolist", "data_ptr")
    )

    def copy_(self, other):
        self.inner.copy_(inside(other))
        return self

    def __getitem__(self, index):
        check("an index", {self.device} | {tensor.device for tensor in tensors(index)} - {CPU})
        return Placed(self.inner[tree_map(inside, index)], self.device)

    def __setitem__(self, index, value):
        check("an index", {self.device} | {tensor.device for tensor in tensors(index, value)} - {CPU})
        self.inner[tree_map(inside, index)] = inside(value)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} met a tensor on a pretended device outside of the pretence")


class Pretending(TorchDispatchMode):
    """The pretence: sees the operators that make tensors, too."""

    def __enter__(self):
        self._before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor goes through it as well
        return super().__enter__()

    def __exit__(self, *raised):
        torch._C._set_only_lift_cpu_tensors(self._before)
        super().__exit__(*raised)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        with self:
            found = func.decompose(*args, **kwargs or {})
        return run(func, args, kwargs or {}) if found is NotImplemented else found


def run(func, args, kwargs):
    given = list(tensors(args, kwargs))
    met = {tensor.device for tensor in given if tensor.ndim} or {tensor.device for tensor in given}
    if func in INDEXES:
        met = {args[0].device} | {tensor.device for tensor in tensors(args[2:])}
        met |= {tensor.device for tensor in tensors(args[1]) if tensor.device != CPU}
    if func not in COPIES:
        check(func, met)
    here = args[0].device if func in COPIES else next(iter(met), CPU)
    asked = kwargs.get("device")
    place = here if asked is None else torch.device(asked)
    if asked is not None:
        kwargs = {**kwargs, "device": place if place.type == "meta" else CPU}
    found = func(*tree_map(inside, args), **tree_map(inside, kwargs))
    own = {id(tensor.inner): tensor for tensor in given if isinstance(tensor, Placed)}

    def outside(made):
        if not isinstance(made, torch.Tensor) or place.type in ("cpu", "meta"):
            return made
        return own.get(id(made)) if id(made) in own else Placed(made, place)

    return tree_map(outside, found)


def check(func, met):
    if len(met) > 1:
        raise RuntimeError(f"{func} was given tensors on {', '.join(sorted(map(str, met)))}")


def tensors(*trees):
    found = []
    tree_map(lambda leaf: found.append(leaf) if isinstance(leaf, torch.Tensor) else None, trees)
    return found


def inside(leaf):
    return leaf.inner if isinstance(leaf, Placed) else leaf


@pytest.fixture(scope="module")
def models(build):
    """The same model on three pretended devices and in one place."""
    made = {}

    def both(architecture):
        if architecture not in made:
            hf, tokenizer = build(architecture, attn_implementation="eager")
            plain = load_model(hf.requires_grad_(False), tokenizer=tokenizer)
            again = build(architecture, attn_implementation="eager")[0].requires_grad_(False)
            blocks = plain.tap("resid_post.0").module
            path = next(path for path, module in hf.named_modules() if module is blocks).rpartition(".")[0]
            places = {f"{path}.{layer}": f"fpga:{(layer + 1) % 3}" for layer in range(plain.n_layers)}
            for name, module in again.named_modules():
                if not name.startswith(path) and (module._parameters or module._buffers):
                    places[name] = "fpga:0"
            with Pretending():
                dispatch_model(again, places)
                made[architecture] = load_model(again, tokenizer=tokenizer), plain
        return made[architecture]

    return both


architectures = pytest.mark.architectures("llama", "gpt2", "opt", "gemma2")


def same(run, models):
    """What is run on both models gives the same, tensors of one device among them."""
    spread, plain = models
    with Pretending():
        found = tree_map(lambda leaf: inside(leaf), run(spread))
    wanted = run(plain)
    for a, b in zip(flat(found), flat(wanted), strict=True):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-6) if isinstance(b, torch.Tensor) else a == b


def flat(found):
    if hasattr(found, "keys"):
        return [inside(found[key]) for key in found]
    return (
        [leaf for one in found for leaf in flat(one)] if isinstance(found, list | tuple) else [inside(found)]
    )


def test_the_pretence_refuses_what_real_devices_refuse(models):
    with Pretending():
        a, b = torch.ones(3, device="fpga:0"), torch.ones(3, device="fpga:1")
        for mixed in (lambda: a + b, lambda: a @ torch.ones(3), lambda: a[b > 0], lambda: torch.cat([a, b])):
            with pytest.raises(RuntimeError, match="was given tensors on"):
                mixed()
        assert (a + b.to(a.device)).tolist() == [2, 2, 2]
        spread = models("llama")[0]
        assert {weight.device.index for weight in spread.hf.parameters()} == {0, 1, 2}
        careless = add_vector("resid_post.0", torch.zeros(spread.d_model))
        object.__setattr__(careless, "edit", lambda x, where: x + torch.ones(x.shape[1]))
        with (
            intervene(spread, careless),
            pytest.raises(RuntimeError, match="was given tensors on cpu, fpga:1"),
        ):
            next_token_logits(spread, ["Yes"])


@architectures
def test_captures_lie_where_their_layer_computes(models, sentences, architecture):
    spread, plain = models(architecture)
    sites = [site for kind in plain.kinds for site in plain.sites(kind)]
    for position in ("last", "mean", "all"):
        same(lambda model, at=position: capture(model, sentences, sites, position=at), (spread, plain))
    with Pretending():
        found = capture(spread, sentences, "resid_post")
    assert [tensor.device.index for tensor in found.values()] == [1, 2, 0]


@architectures
def test_shared_prefixes_remember_on_each_device(models, sentences, architecture):
    texts = [f"{sentences[2]} {text}" for text in sentences[:4]]
    same(
        lambda model: capture(model, texts, ["resid_post", "attn_out"], position="all"), models(architecture)
    )


@architectures
def test_text_is_written_as_in_one_place(models, sentences, architecture):
    both = models(architecture)
    same(lambda model: next_token_logits(model, sentences), both)
    for temperature in (0.0, 1.0):
        same(
            lambda model, t=temperature: generate(model, sentences[:4], max_new_tokens=5, temperature=t), both
        )


def interventions(model, texts):
    """Of each kind, from activations that lie on the devices of their layers."""
    acts = capture(model, Examples(texts[:8], labels=["a", "b"] * 4), "resid_post")
    early, late = (MeanDifference().fit(acts, f"resid_post.{layer}") for layer in (0, 2))
    here = capture(model, texts, "resid_post.1")["resid_post.1"]
    yield [early.add(1.0), late.set(0.5), early.erase()]
    yield [early.clamp(-0.5, 0.5), late.reflect(), late.rotate(30)]
    yield [when(early, 0.0, late.add(2.0)), when(early, 0.0, late.erase(), at="last")]
    yield [patch(here, "resid_post.2", positions="last"), mean_ablate(here, "resid_post.0")]
    yield [resample_ablate(here, "resid_post.2", positions="last"), zero_ablate("mlp_out.1")]
    yield [schedule(late.add, lambda step: 1.0 / (1 + step)), add_vector("embed", torch.ones(model.d_model))]


@pytest.mark.parametrize("which", range(6))
@pytest.mark.architectures("llama", "gpt2")
def test_interventions_act_on_each_device(models, sentences, architecture, which):
    def run(model):
        edits = list(interventions(model, sentences))[which]
        with intervene(model, *edits):
            texts = generate(model, sentences[:4], max_new_tokens=4)
            return texts, next_token_logits(model, sentences[:4]), capture(model, sentences[:4], "resid_post")

    same(run, models(architecture))


@pytest.mark.architectures("llama", "gpt2")
def test_what_is_made_of_captures_needs_no_one_device(models, sentences, architecture):
    data = Examples(sentences[:8], labels=["a", "b"] * 4)

    def run(model):
        acts = capture(model, data, "resid_post")
        concept = MeanDifference().fit(acts, "resid_post.1")
        table = sweep(acts, MeanDifference(), folds=2).to_frame().drop(columns="site")
        read = monitor(model, sentences[:2], [concept], max_new_tokens=3)
        baked = bake(model, concept.add(1.0))(torch.tensor([[20, 21, 22]])).logits
        return table.round(6).to_numpy().tolist(), read.values, baked, concept.read(acts["resid_post.1"])

    same(run, models(architecture))

"""`conceptscope sites`."""

from rich.table import Table

from conceptscope._console import console, working
from conceptscope.hooks import Site, load_model

_WHAT = {
    "embed": "the token embeddings",
    "resid_pre": "the residual stream before a block",
    "q": "queries, a head each",
    "k": "keys, a head each",
    "v": "values, a head each",
    "z": "the heads' outputs before they are mixed, a head each",
    "attn_out": "what attention adds to the residual stream",
    "resid_mid": "the residual stream between attention and MLP",
    "mlp_post": "the MLP's neurons",
    "mlp_out": "what the MLP adds to the residual stream",
    "resid_post": "the residual stream after a block",
}


def run_sites(source: str) -> None:
    """Print one row for each kind of site that the model has."""
    with working(f"Loading {source}"):
        model = load_model(source)
    about = f"{model.name}: {model.n_layers} layers of width {model.d_model}, {model.n_heads} heads"
    console.print(about, markup=False)
    table = Table("kind", "sites", "what it is")
    for kind in model.kinds:
        table.add_row(kind, _span(model.sites(kind)), _WHAT[kind])
    console.print(table)
    console.print("Any module of the model is a site too, by its path: model.hf.named_modules() lists them.")


def _span(sites: list[Site]) -> str:
    return str(sites[0]) if len(sites) == 1 else f"{sites[0]} ... {sites[-1]}"

"""Tables of the README and of docs/measured.md, made from what the benchmarks found: `make tables`.

`python benchmarks/tables.py build/bench` takes over what is there (quick runs are left out) into
`benchmarks/results` and writes the pages anew; without a folder it only writes them. In a page,
`<!-- bench capture -->` stands before all tables of a benchmark, `<!-- summary -->` before the lines below,
`<!-- libraries -->` before the same work done by other libraries, `<!-- peers -->` before some rows of
docs/peers.md, and `<!-- end -->` after each.
"""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS, COMPARISON = ROOT / "benchmarks" / "results", ROOT / "docs" / "peers.md"
PAGES = (ROOT / "README.md", ROOT / "docs" / "measured.md")
MARKED = re.compile(r"(<!-- (?:bench (\w+)|(summary|libraries|peers)) -->\n).*?(<!-- end -->)", re.DOTALL)
Found = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A line of the summary: some columns of those rows of a benchmark that patterns find."""

    what: str
    benchmark: str
    rows: tuple[str, ...]
    columns: tuple[str, ...] = ("ratio",)


LAST = "all resid_post, last position,"
LINES = (
    Line(
        "`capture` of all layers' last tokens over bare forwards: 42M parameters; tiny (12 x 64)",
        "capture",
        (f"42M: {LAST} .* 17-36", f"tiny: {LAST} .* 17-36"),
    ),
    Line("the same behind 128 common tokens", "store", (f"42M: {LAST} .* behind", f"tiny: {LAST} .* behind")),
    Line("one layer of twelve: 0; 5; 11", "capture", tuple(rf"resid_post.{i} alone" for i in (0, 5, 11))),
    Line("into a store over into memory", "store", (f"42M: {LAST} .* 17-36", f"tiny: {LAST} .* 17-36")),
    Line(
        "steered `generate` over unsteered: 42M, 1 prompt; 8; tiny, 1; 8",
        "generation",
        tuple(f"{size}, {n} prompts?: .* unsteered" for size in ("42M", "tiny") for n in (1, 8)),
    ),
    Line(
        "`sweep` of `Logistic` over a loop of scikit-learn's: 12 x 768; 32 x 4096",
        "sweeping",
        ("^12 x 768.* C = 1", "^32 x 4096.* C = 1"),
    ),
    Line(
        "Moebius transform, times faster than shapiq: 14 players; 16", "interactions", ("n = 14$", "n = 16$")
    ),
    Line("SII; FSII of 12 players, times faster than shapiq", "interactions", ("^SII", "^FSII")),
    Line(
        "AND-OR effects of 9 players: their sum / the optimum / the published descent's",
        "interactions",
        ("planted, noisy, n = 9$",),
        ("ours", "optimum", "published SGD"),
    ),
    Line(
        "values of all masked texts, times faster than the best batched forwards: 32 tokens; 160",
        "games",
        ("T = 32, 12 players, first", "T = 160"),
    ),
    Line(
        "from a text to its interactions, times faster than shapiq over these: 10 players; 12",
        "games",
        ("T = 32, 10 players: shapiq", "T = 32, 12 players: shapiq"),
    ),
    Line(
        "heads and MLPs as players, times faster than hooks: layers 7 to 11; 6 and 7",
        "latent_players",
        ("7 to 11: separate", "6 and 7: separate"),
    ),
    Line(
        "held-out R² with 40; 300 players: ours / ProxySPEX's / our CPU time over its",
        "sparse_interactions",
        ("GPT-2, weights 0.1, seed 1", "n = 300"),
        ("ours R²", "ProxySPEX R²", "time"),
    ),
    Line("`convexity` beside nnconvexity, 5,000 rows, CPU time", "convexity", ("^all pairs",), ("what",)),
)
SHOWN_PEERS = (
    "The same numbers whatever the batch and the padding",
    "Activations on disk, taken up after a kill",
    "Probes with held-out scores and intervals",
    "Steering under `generate` with a KV cache, at chosen positions",
    "Effect and harm of steering measured",
    "Activation, attribution and path patching",
    "AND and OR interactions, with a certificate",
    "Sparse autoencoders",
    "Integrated gradients and other gradients of inputs",
    "Models on somebody else's machines",
)


def main(folder: str | None = None) -> None:
    for path in sorted(Path(folder).glob("*.json")) if folder else []:
        if not json.loads(path.read_text(encoding="utf-8"))["quick"]:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / path.name).write_bytes(path.read_bytes())
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


def filled(text: str) -> str:
    """A page with its tables made anew."""

    def made(mark: re.Match[str]) -> str:
        if mark[2]:
            return f"{mark[1]}{all_tables(result(mark[2]))}{mark[4]}"
        parts = {"summary": summary, "libraries": libraries, "peers": peers}
        return f"{mark[1]}{parts[mark[3]]()}{mark[4]}"

    return MARKED.sub(made, text)


def result(name: str) -> Found:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def all_tables(found: Found) -> str:
    """Every table of a benchmark, with its notes, and what it ran on."""
    parts = []
    for table in found["tables"]:
        parts.append(f"**{table['title']}**\n\n{markdown(table['columns'], table['rows'])}")
        parts += [f"{note}\n" for note in table["notes"]]
    return "\n".join([*parts, f"*{ran_on(found)}*\n"])


def ran_on(found: Found) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"`{found['command']}`, {found['date']}, at {found['commit']}: {found['seconds'] / 60:.1f} minutes, "
        f"while others kept {found['busy_with_others']:.2f} cores busy; {found['machine']}; {versions}"
    )


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(cell, line))} |\n" for line in lines)


def cell(text: str) -> str:
    below = "- " if text.startswith("  ") else ""  # a row that goes on from the one above it
    return below + text.replace("|", "\\|").replace("missed", "**missed**").strip()


def summary() -> str:
    """The lines of the README: what was measured, its bar, and the command that prints it."""
    rows = [[line.what, *measured(line), f"`benchmarks/{line.benchmark}.py`"] for line in LINES]
    return markdown(["what", "measured", "bar", "", "all rows"], rows)


def measured(line: Line) -> list[str]:
    """The cells, the bars and whether they are met."""
    rows = [row_of(line.benchmark, pattern) for pattern in line.rows]
    values = ["; ".join(" / ".join(short(row[name]) for name in line.columns) for row in rows)]
    bars = [row.get("bar", row.get("wanted", "")) for row in rows]
    verdicts = [next((cell for cell in row.values() if cell in ("met", "missed")), "") for row in rows]
    return [*values, *("; ".join(dict.fromkeys(each)) for each in (bars, verdicts))]


def row_of(benchmark: str, pattern: str) -> dict[str, str]:
    """The first row whose first cell the pattern finds, by the names of its columns."""
    for table in result(benchmark)["tables"]:
        for row in table["rows"]:
            if re.search(pattern, row[0]):
                return dict(zip(table["columns"], row, strict=True))
    raise SystemExit(f"no row of {benchmark} is like {pattern!r}")


def short(value: str) -> str:
    """A number with as many digits as it is worth; other text as it is."""
    try:
        number = float(value)
    except ValueError:
        return value
    digits = 0 if abs(number) >= 100 else 2 if abs(number) >= 10 else 3
    return f"{number:,.{digits}f}"


def libraries() -> str:
    """Each library's time for the same work, over plain forwards and plain generation."""
    tables = result("peers")["tables"]
    states = [table for table in tables if "texts of 17-36 tokens, over" in table["title"]]
    steered = [table for table in tables if "tokens generated" in table["title"]]
    names = list(dict.fromkeys(row[0] for table in states for row in table["rows"]))
    rows = []
    for table in states:
        of = {row[0]: short(row[1]) for row in table["rows"]}
        rows.append([f"{size(table)}: states of all layers", *(of.get(name, "") for name in names)])
    for table in steered:
        for prompts in ("1 prompt", "8 prompts"):
            of = {row[0].removesuffix(f", {prompts}"): short(row[1]) for row in table["rows"]}
            rows.append([f"{size(table)}: steered, {prompts}", *(of.get(name, "") for name in names)])
    return markdown(["over the Hugging Face model alone", *names], rows)


def size(table: Found) -> str:
    return table["title"].partition(":")[0]


def peers() -> str:
    """Some rows of the comparison: each verdict with a link to what shows it."""
    text = COMPARISON.read_text(encoding="utf-8")
    links = dict(re.findall(r"^\[([a-z0-9-]+)\]: (\S+)$", text, re.MULTILINE))
    head, _, *rows = [
        [each.strip() for each in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]
    cells = {need: [linked(one, links) for one in others] for need, *others in rows}
    return markdown(head, [[need, *cells[need]] for need in SHOWN_PEERS])


def linked(one: str, links: dict[str, str]) -> str:
    """What a cell says, with its link: that of a library, or the first test of ours."""
    verdict = re.match(r"\[?(yes|partly|not found|no)\b", one)
    assert verdict
    named, test = re.search(r"\]\[([a-z0-9-]+)\]", one), re.search(r"`(tests/[^`]+)`", one)
    target = links[named[1]] if named else test[1] if test else None
    return f"[{verdict[1]}]({target})" if target else verdict[1]


if __name__ == "__main__":
    main(*sys.argv[1:])

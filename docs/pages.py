"""Pages of the documentation site: files of the repository among them, and public names that are links."""

import re
from pathlib import Path
from typing import Any

from docstrings import linked
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changes.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put README, CONTRIBUTING and CHANGELOG among the pages, with links that hold there."""
    root = Path(config.config_file_path or "").parent
    for source, page in PAGES.items():
        text = (root / source).read_text(encoding="utf-8")
        text = text.replace("](docs/", "](").replace('src="docs/', 'src="')
        text = re.sub(r"\[(\w+)\]\(tests/[^)]*\)", r"\1", text)  # tests are no pages
        for other, its_page in PAGES.items():
            text = text.replace(f"]({other})", f"]({its_page})")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs: Any) -> str:
    """Lead from names to the reference; notebooks stay as they are."""
    return markdown if page.file.src_uri.endswith(".ipynb") else linked(markdown)

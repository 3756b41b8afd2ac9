"""Find the concepts inside pretrained transformers, check them, and act on them."""

"""One toxic per file; `table.py` lists them."""

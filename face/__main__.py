"""`python -m conceptscope`."""

from conceptscope._cli import main

main()

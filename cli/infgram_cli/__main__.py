"""`python -m infgram_cli` is `infgram`."""

from .main import main

main()

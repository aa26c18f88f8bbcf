"""`python -m meter`."""

from meter.cli.main import main

main()

"""Run the command line as `python -m officeai_proxy`."""

from officeai_proxy.cli import main

main()

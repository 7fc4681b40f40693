"""How fast the harness is: beside an ideal loop, beside a naive script, and beside the machine's own limit."""

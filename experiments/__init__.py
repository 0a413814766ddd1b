"""The paper's experiments, made again: `python -m experiments`."""

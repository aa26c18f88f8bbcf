"""Benchmarks: figures beside a control or a peer, measured side by side in one run."""

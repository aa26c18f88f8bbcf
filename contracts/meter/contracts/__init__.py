"""The contract language: model, reader, units, resolution, ordering, flow, diagnostics.

Imports nothing else of meter, never asks the world (files, clock, host): what it needs arrives as a value.
"""

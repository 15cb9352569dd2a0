"""Photographs: the benchmarks and folders of your own, their layouts, decoding, and how they get here."""

"""Brute force against `check`: reads a model text by itself, unrolls it, and decides by numbers.

Nothing here imports `avi_theory.symbolic`; the text is the only thing both sides share.
"""

"""Runtimes that more than one backend computes with. Backends stand above and never import each
other.
"""

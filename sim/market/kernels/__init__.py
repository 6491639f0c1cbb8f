"""Compiled inner loops. Each has a readable NumPy twin, named in its docstring, that states the equation."""

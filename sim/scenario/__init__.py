"""Scenario files: what can be set, how a file is read and checked, what a run draws from it."""

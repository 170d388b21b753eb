"""Checks: each holds statements, indexes, grants or migrations against what they promise, one file a check.

Each takes a `Subject` and yields diagnostics, and notes where people should know something that breaks no promise.
`origins` says on which line of the migrations something was made, for the checks that tell of it.
"""

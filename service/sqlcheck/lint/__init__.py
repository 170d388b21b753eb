"""The lint of `migrations/`: what can be said of a migration without a database.

`scripts` reads both files of each; `rules` lists the rules, each in a file of its own, which are held against every
file; `squawk` has those of another program, about what a change of a table does to who uses it.
"""

"""The lint of `migrations/`: what can be said of a migration without a database.

`scripts` reads both files of each, `migrations` runs the rules: those of the `header`, of the `statements`, of the
`names` and of the `comments` are ours, and `squawk` has those of what a change of a table does to who uses it.
"""

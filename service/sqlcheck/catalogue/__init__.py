"""The catalogue: what `sql/` and the schema are, for people to read, as `docs/queries.md` and as a page.

`gathering` puts a `model` together, from the statements and a database; `markdown` and `page` write it, the latter with
what `diagrams` draws and `highlighting` colours. `documents` names the files.
"""

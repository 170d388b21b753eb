"""Reading: what is given, in a form that can be reasoned about.

`statements` are the named queries with their comments, `sources` what feeds their parameters, `schema` the tables of
the database, `releases` an earlier revision of all that. `resolver` makes `scopes` of a parse tree, by way of `trees`:
what each name in a statement means.
"""

"""What is proved about `sql/`, and what is told of it: `python -m service sql`.

`statements` reads the files, `schema` the database that `scratch` makes, `sources` what feeds the parameters, and
`execution` runs a statement with its examples; `reader` resolves the names of a statement, into what `scopes` and
`trees` have words for. On these stand the checks, which `checks` lists and `reports` tells of: `style`, `contracts`,
`isolation`, `plans`, `indexes` and `grants`, each with the proofs that it needs, and `lint` for the migrations;
`compatibility` holds the `behaviour` of statements against the last of the `releases`. `catalogue` writes all of it
down, with who runs what from `callers`; `stats` says what it has cost.
"""

"""The description that the API gives of itself: the OpenAPI document, and the pages in a browser.

`openapi` makes the document of the routes that serve, by way of `components`; `pages` shows it, the explanations of
problems, and the catalogue of the queries.
"""

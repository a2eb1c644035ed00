"""The store: tables, migrations, the projection of journal records into rows, and the queries over them.

`Store.open(url)` brings the schema up to date and gives the repositories; everything that comes out is a
frozen dataclass of `engine.store.entries`.
"""

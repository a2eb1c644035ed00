"""The web console: server-rendered pages, kept live by server-sent events.

`create_app(Services)` in `engine.console.app` makes the application; everything it reads or changes is
injected. Pages are English and Chinese from one catalogue; every text from the wire is escaped.
"""

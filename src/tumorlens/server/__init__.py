"""The server: a local page and an HTTP API in front of `tumorlens.Analyzer`.

`tumorlens.server.app.create_app` makes the application, `tumorlens.server.run.serve` runs it.
"""

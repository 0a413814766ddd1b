"""The live page: searches in a browser, read-only.

`application` answers requests, `views` makes what it sends at most once per change however many ask, `source` says
which searches there are. Threads live here only: what they read are committed objects of the store.
"""

"""An index on disk: its columns, how they are built, kept, replaced, opened and proved.

All that knows the format (docs/format.md) and touches files of an index lives here; what a column
means to a question, it does not know. May touch text and the native core.
"""

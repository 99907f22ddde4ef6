"""What results have in common: they compare, hash, print, are tables, and show themselves.

Markup and style are files beside these modules, which fill them in. May touch what optional
libraries are called, not what a result means: a result says which of its parts are shown.
"""

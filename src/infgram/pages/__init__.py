"""Results as web pages: one file each, nothing fetched, light and dark.

Markup, styles and scripts are files beside these modules, which fill them in. May touch results,
not how they came about.
"""

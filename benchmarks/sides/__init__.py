"""The same work by our engine and by other libraries: a module each, a function per row.

A function takes the row's arrays and how many units of the work to do (resamples, permutations,
centres, ROIs; rows that are always done whole ignore it), and returns its results by name. Results
of all sides of a row are compared number by number.
"""

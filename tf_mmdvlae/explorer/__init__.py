"""The explorer: one page on which a person plays with an export, and the server behind it."""

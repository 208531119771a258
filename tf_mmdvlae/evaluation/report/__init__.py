"""The page that shows an evaluation to a person: plots, pictures, tables, and key numbers."""

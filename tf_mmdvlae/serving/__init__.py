"""The SavedModel: its signatures, what lies beside them, other formats, and how it is loaded."""

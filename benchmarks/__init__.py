"""Speed measurements, which alternate what is compared.

The times, speeds, ratios and shares that are measured in every round are {"median", "low", "high"}
over the rounds (`harness.spread`). A function that measures in a process of its own raises
InputError if this process fails.
"""

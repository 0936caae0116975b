"""Statistics that add: each has `empty`, `update`, `merge` and `revert`, and is an immutable value."""

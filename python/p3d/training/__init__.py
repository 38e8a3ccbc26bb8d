"""What a person wants of a training besides the solver: signals, a log, a record."""

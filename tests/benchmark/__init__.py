"""What `tests/bench` does: build, measure alternately, compare with the goals, and say what came of it.

`command` reads what is asked for. `goals` and `scaling` say what is measured; `runner` runs `portcullis-load` for it,
round by round, and writes every run down; `table` and `plot` show it.
"""

"""The contestants of `python -m rbmx.bench peers`, one per file.

Each file defines `build(task, images)`, which returns a `rbmx.bench.task.Loop`: images are 0/1
bytes of shape (rows, n_visible), and every loop starts from `task.initial()`.
"""

"""Jobs: many analyses, kept, spread over all workers, and each computed once in effect.

`api` answers clients, `scheduler` puts tasks on the queue, `worker` takes and computes them, and
publishes how far a job is. `model` has the rules and `tasks` the tasks, pure; `store` persists.
"""

"""Jobs: persisted sets of analyses, distributed over all workers, each with one outcome.

`api` answers clients, `scheduler` enqueues tasks, and `worker` computes them and publishes the
progress of jobs. `model` contains the rules of jobs and `tasks` those of tasks, as pure functions;
`store` persists them, and `quota` limits the jobs of a user.
"""

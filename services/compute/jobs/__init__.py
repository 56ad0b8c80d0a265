"""Jobs: many analyses, kept, spread over all workers, and each computed once in effect.

`api` answers clients, `scheduler` puts tasks on the queue, `worker` takes them and has `runner`
compute them, `progress` publishes how far a job is. `model` has the rules, pure; `store` persists.
"""

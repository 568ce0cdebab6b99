"""What every stage shares: ids, shards, the stage loop, ledgers, atomic files, specs, weights, devices, progress.

Nothing in here computes a feature or knows a task, so `fingerprint` leaves this package out: a change here moves bytes
differently but never changes what they are.
"""

"""A task (network, batches, loss, validation) → its best epoch: the loop that all tasks are trained with.

    Task ─▶ loop.fit ─▶ Fitted(best state, rows) ─▶ logs (CSV, TensorBoard), plots
              │  ▲
              ▼  │ after a kill
             state.pt

A batch is a function of (seed, epoch, number) and nothing else. So training resumes exactly in the middle of an epoch, and
neither the threads that prepare batches nor the processes that share them change what is learnt.
"""

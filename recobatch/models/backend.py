"""How TensorFlow is to run in this process; imported by whatever builds or loads a model, before anything runs.

A mini-batch is some thirty tiny loops. Shared out to a thread pool, they cost twice the processor time of one thread,
and more than that on a machine with other work; and sums would depend on the number of cores. So: one thread within an
operation. Train two models at once to use two cores. ``TF_NUM_INTRAOP_THREADS`` in the environment overrules this.
"""

import contextlib
import os

import tensorflow as tf

if "TF_NUM_INTRAOP_THREADS" not in os.environ:
    # A process in which TensorFlow already ran keeps its threads: slower, not wrong.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)

INTRA_OP_THREADS = tf.config.threading.get_intra_op_parallelism_threads()
"""Threads within an operation; 0 leaves it to TensorFlow."""

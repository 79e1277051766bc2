"""Thread settings of TensorFlow, imported by every module that builds or loads a model.

A mini-batch consists of about thirty very short loops. A thread pool doubles their processor time, and more on a busy
machine, and makes sums depend on the number of cores; hence one thread within an operation. Train two models at once to
use two cores. The variable ``TF_NUM_INTRAOP_THREADS`` takes precedence.
"""

import contextlib
import os

import tensorflow as tf

if "TF_NUM_INTRAOP_THREADS" not in os.environ:
    # If TensorFlow has already run in this process, its threads cannot be changed: slower, but correct.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)

INTRA_OP_THREADS = tf.config.threading.get_intra_op_parallelism_threads()
"""Threads within an operation; 0 leaves it to TensorFlow."""

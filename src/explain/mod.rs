//! Says why: the slow, readable evaluator.

//! Threads that give way: what is worked out for a question gets the time that a run leaves.
//!
//! The one idea: such threads are the least to the system's scheduler, so that however many questions are asked, a fact that comes is
//! taken at once.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use thread_priority::{ThreadPriority, set_current_thread_priority};

/// Has this thread give way to all others of the machine.
pub fn give_way() {
    // A system that does not let a thread step back runs it as any other.
    let _ = set_current_thread_priority(ThreadPriority::Min);
}

/// So many threads that give way; as many as there are processors if none are named.
///
/// # Errors
/// What the system says.
pub fn pool(threads: Option<u16>) -> Result<ThreadPool, ThreadPoolBuildError> {
    let threads = ThreadPoolBuilder::new().num_threads(threads.map_or(0, usize::from));
    threads.start_handler(|_| give_way()).build()
}

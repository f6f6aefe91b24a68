//! Threads of a question.
//!
//! The one idea: a question has threads of its own. A step of it that is long goes on to its end also when nobody waits for it any more;
//! then nothing else waits for it, and what is asked next has others. They give way to all that is not a question.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::limits::QUERY_STACK_BYTES;
use crate::priority::give_way;

/// Some threads.
#[derive(Debug)]
pub struct Threads(Option<Runtime>);

impl Threads {
    /// So many.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(count: usize) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(count).thread_stack_size(QUERY_STACK_BYTES).enable_all().on_thread_start(give_way);
        Ok(Self(Some(builder.build()?)))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("it is there until the end")
    }

    /// Where tasks for them are left.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.runtime().handle()
    }

    /// Waits for something.
    pub fn block_on<F: Future>(&self, what: F) -> F::Output {
        self.runtime().block_on(what)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

//! Cutting a failing world down to the rows that matter, by hand ([`minimise`]) or under proptest ([`Worlds`]).
//!
//! The one idea: a cut removes a person's rows, then ever smaller runs of rows, then single rows until none can go. Values
//! are never changed, so what is left still says what the seed said. Both doors walk the same [`WorldTree`].

use proptest::prelude::{Strategy, any};
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;
use sanma::model::Table;

use super::World;

/// The smallest world found by leaving out persons and rows for which `fails` is still true. Cost: about as many calls as
/// rows, twice over. `fails(&world)` must be true of the world given.
pub fn minimise(world: World, mut fails: impl FnMut(&World) -> bool) -> World {
    assert!(fails(&world), "there is nothing to minimise");
    let mut tree = WorldTree::new(world);
    while tree.simplify() {
        if !fails(&tree.current) {
            tree.complicate();
        }
    }
    tree.current
}

/// A strategy of random worlds that shrinks by leaving out persons and rows. When the instant or the rules come from
/// strategies too, draw them as values and not as indexes into the world: an index means another instant once rows are gone.
#[derive(Clone, Copy, Debug)]
pub struct Worlds;

impl Strategy for Worlds {
    type Tree = WorldTree;
    type Value = World;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        Ok(WorldTree::new(World::random(any::<u64>().new_tree(runner)?.current())))
    }
}

/// What the last cut was made from.
#[derive(Clone, Debug)]
struct Before {
    world: World,
    /// Rows to step over if they have to come back.
    step: usize,
}

/// A world on its way down.
#[derive(Clone, Debug)]
pub struct WorldTree {
    current: World,
    before: Option<Before>,
    /// Persons not yet tried.
    persons: Vec<String>,
    /// How many rows the next cut takes; 0 when done.
    run: usize,
    /// Where it takes them.
    at: usize,
    /// Whether a cut of this pass held.
    held: bool,
}

impl WorldTree {
    /// The tree below `world`.
    pub fn new(world: World) -> Self {
        let (persons, run) = (world.persons.clone(), world.tables.rows().div_ceil(2));
        Self { current: world, before: None, persons, run, at: 0, held: false }
    }

    fn cut(&mut self, dropped: &[(Table, u32)], step: usize) {
        let mut rows = self.current.rows();
        rows.retain(|row| !dropped.contains(row));
        let smaller = self.current.with_rows(&rows);
        self.before = Some(Before { world: std::mem::replace(&mut self.current, smaller), step });
    }
}

impl ValueTree for WorldTree {
    type Value = World;

    fn current(&self) -> World {
        self.current.clone()
    }

    fn simplify(&mut self) -> bool {
        self.held |= self.before.take().is_some();
        while let Some(person) = self.persons.pop() {
            let dropped = self.current.rows_of(&person);
            if !dropped.is_empty() {
                self.cut(&dropped, 0);
                return true;
            }
        }
        while self.run > 0 {
            let rows = self.current.rows();
            if self.at < rows.len() {
                let end = rows.len().min(self.at + self.run);
                self.cut(&rows[self.at..end], end - self.at);
                return true;
            }
            // A pass of single rows is repeated until nothing goes: a row may matter only while another is there.
            if self.run > 1 || !self.held {
                self.run /= 2;
            }
            (self.at, self.held) = (0, false);
        }
        false
    }

    fn complicate(&mut self) -> bool {
        let Some(before) = self.before.take() else { return false };
        self.at += before.step;
        self.current = before.world;
        true
    }
}

//! Where the rows of keys went that have changed, by key.
//!
//! The one idea: spans lie in pages by their key, and pages in chapters; either is copied before it is changed if anybody else has
//! it, so that a copy of all costs a pointer a chapter.
//!
//! Cost: two loads a look; 12 bytes a key of each page that has any.

use std::sync::Arc;

use super::group::Span;

/// Keys of a page.
const PAGE: usize = 64;
/// Pages of a chapter.
const CHAPTER: usize = 128;

/// What a key has whose rows have not moved: no row is there.
const UNMOVED: Span = Span { begin: u32::MAX, rows: 0, room: 0 };

type Page = Arc<[Span; PAGE]>;
type Chapter = Arc<[Option<Page>; CHAPTER]>;

/// The ranges of keys whose rows have changed since the ranges were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved {
    chapters: Vec<Option<Chapter>>,
}

impl Moved {
    /// Where the rows of a key went, if they have moved.
    #[inline]
    pub(super) fn get(&self, key: usize) -> Option<Span> {
        let chapter = self.chapters.get(key / (PAGE * CHAPTER))?.as_ref()?;
        let page = chapter[key / PAGE % CHAPTER].as_ref()?;
        Some(page[key % PAGE]).filter(|&span| span != UNMOVED)
    }

    /// Says where they are.
    pub(super) fn insert(&mut self, key: usize, span: Span) {
        let number = key / (PAGE * CHAPTER);
        if self.chapters.len() <= number {
            self.chapters.resize(number + 1, None);
        }
        let chapter = self.chapters[number].get_or_insert_with(|| Arc::new([const { None }; CHAPTER]));
        let page = &mut Arc::make_mut(chapter)[key / PAGE % CHAPTER];
        let page = page.get_or_insert_with(|| Arc::new([UNMOVED; PAGE]));
        Arc::make_mut(page)[key % PAGE] = span;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_what_it_was() {
        let mut moved = Moved::default();
        let span = |begin: usize| Span { begin: u32::try_from(begin).expect("small"), rows: 1, room: 2 };
        let keys = [0, 1, PAGE - 1, PAGE, PAGE * CHAPTER - 1, PAGE * CHAPTER, 3 * PAGE * CHAPTER + 7];
        for key in keys {
            moved.insert(key, span(key));
        }
        let copy = moved.clone();
        moved.insert(1, Span::default());
        moved.insert(2, span(9));
        assert!(keys.iter().all(|&key| copy.get(key) == Some(span(key))));
        assert_eq!([2, PAGE + 1, 2 * PAGE * CHAPTER, 9 * PAGE * CHAPTER].map(|key| copy.get(key)), [None; 4]);
        assert_eq!((moved.get(1), moved.get(2), moved.get(0)), (Some(Span::default()), Some(span(9)), Some(span(0))));
    }
}

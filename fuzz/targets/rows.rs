//! Any text as a file of facts: the first line is the file's name, the rest what it holds. The file is an error that names it,
//! or every record is a row or a rejection that can be read.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::{Corpus, fuzz_target};
use sanma::ingest::{self, Format, Unobserved};

/// Longest name that every file system takes.
const NAME_BYTES_MAX: usize = 255;

static QUIET: Once = Once::new();

fuzz_target!(|data: &[u8]| -> Corpus {
    QUIET.call_once(ingest::quiet_decoders);
    let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Corpus::Reject };
    let Ok(name) = str::from_utf8(&data[..end]) else { return Corpus::Reject };
    let text = matches!(Format::of_name(name), Some((_, Format::Csv(_) | Format::Ndjson(_))));
    if !text || name.contains(['/', '\0']) || name.starts_with('.') || name.len() > NAME_BYTES_MAX {
        return Corpus::Reject;
    }
    let folder = sanma_fuzz::folder();
    std::fs::write(folder.path().join(name), &data[end + 1..]).expect("room in memory");
    match ingest::load(folder.path(), &Unobserved) {
        Ok(loaded) => {
            let rows = loaded.tables.rows() + loaded.rejections.len();
            let lines = data.iter().filter(|&&byte| byte == b'\n' || byte == b'\r').count() + 1;
            assert!(rows <= lines || !matches!(Format::of_name(name), Some((_, Format::Csv(ingest::Compression::Plain)))));
            for rejection in &loaded.rejections {
                serde_json::from_str::<serde_json::Value>(&rejection.row).expect("a rejection can be read");
                assert_eq!(rejection.source, name);
                assert!(rejection.offset > 0, "lines begin at 1");
            }
            Corpus::Keep
        }
        Err(error) => {
            assert!(error.to_string().contains(name), "{error}");
            Corpus::Keep
        }
    }
});

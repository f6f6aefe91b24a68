//! `sanma serve`: a door for those who ask in SQL from elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use super::asked::{AskedArgs, ServeArgs};
use super::settings::ServePlan;
use super::{Failure, config, progress, say, snapshot};
use crate::desk::{Certified, Desk, DoorError, Published, Setting};
use crate::flight;
use crate::limits::SIGNAL_MILLIS_MAX;
#[cfg(feature = "postgres")]
use crate::postgres;
use crate::query::{Folders, Limits, PseudonymKey, Queries};

/// Bytes of a new key of pseudonyms.
const KEY_BYTES: usize = 32;

impl From<DoorError> for Failure {
    fn from(error: DoorError) -> Self {
        match error {
            DoorError::Listen(error) => error.into(),
            DoorError::Certificate { .. } => Self::Usage(error.to_string()),
        }
    }
}

/// Answers until Ctrl-C.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let ServePlan { args, access, address, desk, least_group, at_once, memory_mb, time, refresh } =
        ServePlan::new(args)?;
    // What is wrong with an address is said before anything is loaded.
    access.check(address)?;
    #[cfg(feature = "postgres")]
    if let Some(address) = args.postgres {
        access.check(address)?;
    }
    let certified = args.certificate.as_deref().zip(args.key.as_deref());
    let read = |(certificate, key)| {
        Ok::<_, Failure>(Certified { certificate: config::read(certificate)?, key: config::read(key)? })
    };
    let certified = certified.map(read).transpose()?;
    let in_desk = |error: std::io::Error| Failure::Usage(format!("{}: {error}", desk.display()));
    fs::create_dir_all(&desk).map_err(in_desk)?;
    let queries = Arc::new(Queries::open(&desk.join("queries.ndjson"))?);
    let key = PseudonymKey::new(&secret(&desk.join("pseudonym.key")).map_err(in_desk)?);
    let threads = snapshot::threads(args.asked.threads);
    let published = Arc::new(Published::new(Arc::new(snapshot::load(&args.asked)?)));
    let limits = Limits {
        memory_bytes: snapshot::megabytes(memory_mb),
        threads,
        time: Some(time),
        files: Folders::default(),
        least_group: None,
    };
    let setting = Setting {
        access,
        published: Arc::clone(&published),
        limits,
        at_once: at_once.get(),
        least_group,
        key,
        queries,
        now: config::now,
    };
    let desk = Arc::new(Desk::new(setting, threads).context("no threads for questions").map_err(Failure::Job)?);
    let flight = flight::Door::open(address, certified.as_ref(), &desk)?;
    #[cfg(feature = "postgres")]
    let postgres = args.postgres.map(|address| postgres::Door::open(address, certified.as_ref(), &desk)).transpose()?;
    let scheme = if certified.is_some() { "grpc+tls" } else { "grpc" };
    say(&format!("listening on {scheme}://{}", flight.address()));
    #[cfg(feature = "postgres")]
    if let Some(door) = &postgres {
        say(&format!("listening on postgres://{}", door.address()));
    }
    follow(&args.asked, refresh, &published);
    flight.close();
    #[cfg(feature = "postgres")]
    if let Some(door) = postgres {
        door.close();
    }
    Ok(())
}

/// Publishes what a store has come to, now and then, until Ctrl-C.
fn follow(args: &AskedArgs, refresh: Duration, published: &Published) {
    let pause = Duration::from_millis(SIGNAL_MILLIS_MAX);
    let mut known = args.store.as_deref().map(touched);
    let mut waited = Duration::ZERO;
    while !progress::interrupted() {
        std::thread::sleep(pause);
        waited += pause;
        let Some(store) = args.store.as_deref().filter(|_| waited >= refresh) else { continue };
        waited = Duration::ZERO;
        let now = touched(store);
        if known.as_ref() == Some(&now) {
            continue;
        }
        match snapshot::load(&AskedArgs { quiet: true, ..args.clone() }) {
            Ok(snapshot) => {
                published.publish(Arc::new(snapshot));
                known = Some(now);
            }
            Err(_) if progress::interrupted() => {}
            // What was published stays; the next look may be luckier.
            Err(Failure::Usage(why) | Failure::Strict(why)) => say(&format!("warning: {why}")),
            Err(Failure::Job(error)) => say(&format!("warning: {error:#}")),
            Err(Failure::Interrupted | Failure::BrokenPipe | Failure::Told) => {}
        }
    }
}

/// The files of a store's journal, with their lengths and when they were written.
fn touched(store: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let files = fs::read_dir(store.join("journal")).into_iter().flatten().flatten();
    let mut touched: Vec<_> = files
        .filter_map(|file| {
            let about = file.metadata().ok()?;
            Some((file.path(), about.len(), about.modified().ok()))
        })
        .collect();
    touched.sort();
    touched
}

/// The secret in a file; a new one, for this process's user alone, if there is no file.
fn secret(file: &Path) -> std::io::Result<Vec<u8>> {
    match fs::read(file) {
        Ok(secret) if secret.len() >= KEY_BYTES => return Ok(secret),
        Ok(_) => return Err(std::io::Error::other(format!("pseudonym.key has fewer than {KEY_BYTES} bytes"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut secret = vec![0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    // Under another name first: a key that is cut short would be another key.
    let begun = file.with_extension("key.begun");
    let mut made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&begun)?;
    made.write_all(&secret)?;
    made.sync_all()?;
    fs::rename(&begun, file)?;
    Ok(secret)
}
